"""Traces a small model whose forward holds a torch.no_grad() block, as many public models do.

Nothing raises, and the traced graph runs. But it has forgotten the no_grad block: gradients flow
where the model's author said they must not. gradwatch sees the change from outside.
"""

import torch
from torch.fx.experimental.proxy_tensor import make_fx


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        with torch.no_grad():  # "the scale is not trained"
            scale = self.linear.weight.abs().max()
        return self.linear(x) / scale


model = Scaled()
graph = make_fx(lambda x: model(x))(torch.randn(2, 4))
operators = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
print("traced without an error:", len(operators), "operators")
print("of them about the grad mode:", sum("grad_enabled" in name for name in operators))
