# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces a small transformers model with random weights: models.py llama|gpt2|bert [export].

By make_fx, or by a default export; prints the number of nodes, and of regions of another grad mode.
"""

import sys

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

SIZE = 32
LENGTH = 8


def llama():
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=SIZE,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    return decoder(LlamaForCausalLM(config))


def gpt2():
    config = GPT2Config(
        vocab_size=64,
        n_positions=64,
        n_embd=SIZE,
        n_layer=2,
        n_head=2,
        attn_implementation="eager",
    )
    return decoder(GPT2LMHeadModel(config))


def bert():
    config = BertConfig(
        vocab_size=64,
        hidden_size=SIZE,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        attn_implementation="eager",
    )
    model = BertModel(config).eval()
    return lambda x: model(inputs_embeds=x)[0]


def decoder(model):
    """With mask and positions given: making them depends on data, which a trace must not."""
    model.eval()
    mask = torch.zeros(1, 1, LENGTH, LENGTH)
    positions = torch.arange(LENGTH).unsqueeze(0)
    inputs = {"attention_mask": mask, "position_ids": positions, "use_cache": False}
    return lambda x: model(inputs_embeds=x, **inputs)[0]


class Whole(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def main():
    function = {"llama": llama, "gpt2": gpt2, "bert": bert}[sys.argv[1]]()
    x = torch.randn(1, LENGTH, SIZE)
    if sys.argv[2:] == ["export"]:
        graph = torch.export.export(Whole(function), (x,)).graph
    else:
        graph = make_fx(function, _allow_non_fake_inputs=True)(x).graph
    regions = [node for node in graph.nodes if "wrap_with_set_grad_enabled" in str(node.target)]
    sys.stdout.write(f"nodes {len(graph.nodes)} regions {len(regions)}\n")


if __name__ == "__main__":
    main()
