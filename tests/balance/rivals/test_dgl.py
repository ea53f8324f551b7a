"""DGL: no gradient of the joint loss in an encoder, none of a branch loss in the fusion."""

from __future__ import annotations

import torch

from dcdp.objectives import ObjectiveConfig


def test_each_part_learns_from_its_own_loss_alone(kit):
    found = {}
    for name, joint, branch in (("both", 1.0, 1.0), ("joint", 1.0, 0.0), ("branch", 0.0, 1.0)):
        net = kit.make_network(3)
        rule = kit.rule_of(net, "dgl", kit.make_optimizer(net, "sgd"))
        config = ObjectiveConfig(joint=joint, branch=branch, contrast=0.0, label_smoothing=0.0)
        kit.backward(net, rule, kit.make_batch(3), config)
        found[name] = kit.gradients(net)
    for name, gradient in found["both"].items():
        part = name.split(".")[0]
        assert (gradient != 0).any()
        teacher = "branch" if part in ("encoders", "heads") else "joint"
        torch.testing.assert_close(gradient, found[teacher][name])
        if part == "encoders":
            assert (found["joint"][name] == 0).all()
        if part in ("fuse", "joint"):
            assert (found["branch"][name] == 0).all()


def test_values_do_not_change(kit):
    net, batch = kit.make_network(2), kit.make_batch(2)
    cut = net(batch.inputs, batch.present, detach_fusion=True)
    assert torch.equal(cut.joint, net(batch.inputs, batch.present).joint)
