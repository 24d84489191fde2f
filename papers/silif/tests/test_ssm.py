"""What state space networks are beside the authors' numbers: shapes, directions, groups, counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.paper import count_parameters
from silif import activity, sdn
from silif.s4d import S4D, DropoutNd, S4DKernel, causal
from silif.sdn import Predictor
from silif.ssm import SSM_TYPES, SSMType, build_ssm, parameter_groups


@pytest.fixture(autouse=True)
def _some_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on the published weights."""
    torch.manual_seed(4)
    weights = Predictor().state_dict()
    monkeypatch.setattr(sdn, "published_predictor", lambda: weights)


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_causal_convolution(steps: int) -> None:
    x_BHT, kernel_HT = torch.randn(2, 3, steps).double(), torch.randn(3, steps).double()
    expected = torch.zeros_like(x_BHT)
    for t in range(steps):
        for lag in range(t + 1):
            expected[..., t] += kernel_HT[:, lag] * x_BHT[..., t - lag]
    torch.testing.assert_close(causal(x_BHT, kernel_HT), expected)


def test_the_kernel_is_the_response_of_the_recursion() -> None:
    """``h_t = exp(dt A) h_{t-1} + (exp(dt A) - 1) / A x_t`` gives the convolution with K."""
    kernel = S4DKernel(3, 6, dt_max=0.1).double()
    A = torch.complex(-torch.exp(kernel.log_A_real), kernel.A_imag)
    decay = torch.exp(torch.exp(kernel.log_dt)[:, None] * A)
    x_HT = torch.randn(3, 20).double()
    h, y = torch.zeros_like(A), []
    for t in range(20):
        h = decay * h + (decay - 1.0) / A * x_HT[:, t, None]
        y.append(2.0 * (torch.view_as_complex(kernel.C) * h).sum(1).real)
    torch.testing.assert_close(causal(x_HT[None], kernel(20))[0], torch.stack(y, 1))


@pytest.mark.parametrize("model_type", SSM_TYPES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_shapes_and_directions(model_type: SSMType, bidirectional: bool) -> None:
    made = build_ssm(
        model_type, 5, [6, 6], 4, normalization="none", bidirectional=bidirectional, state_size=4
    )
    x_TBI = 3.0 * torch.randn(11, 3, 5)
    output, activities = activity.run(made, x_TBI)
    assert output.y.shape == (3, 4)
    width = 12 if bidirectional else 6
    if model_type == "SS4D":
        assert [tuple(a.shape) for a in activities] == 3 * [(width, 3, 11)]
        assert len(output.spikes_TBN) == 2
    else:
        assert [a.shape[2] for a in activities] == [5, width, width]
        assert output.spikes_TBN == ()
    # With the first direction alone, the future has no influence; with both it has.
    later = x_TBI.clone()
    later[-1] += 10.0
    first, second = (activity.run(made, x)[0] for x in (x_TBI, later))
    assert not torch.allclose(first.y, second.y)
    hidden = [made[0](x).output_TBH for x in (x_TBI, later)]
    same = torch.allclose(hidden[0][:-1], hidden[1][:-1], atol=1e-4)
    assert same != bidirectional
    # Turning the input round exchanges the directions and turns each.
    if bidirectional:
        turned = made[0](x_TBI.flip(0)).output_TBH
        torch.testing.assert_close(turned.flip(0).roll(6, 2), hidden[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model_type", SSM_TYPES)
def test_all_parameters_but_the_unused_learn(model_type: SSMType) -> None:
    made = build_ssm(model_type, 5, [6, 6], 4, bias=True, state_size=4, dropout=0.1)
    made(3.0 * torch.randn(20, 8, 5)).y.square().sum().backward()
    still = {n for n, p in made.named_parameters() if p.requires_grad and p.grad is None}
    assert still == {f"{i}.out_norm.{name}" for i in (0, 1) for name in ("weight", "bias")}
    names = set(dict(made.named_parameters()))
    assert "0.encoder.bias" in names
    assert not any(name.startswith("1.encoder") for name in names)


def test_dropout_of_channels() -> None:
    drop = DropoutNd(0.25)
    x_BHT = torch.ones(40, 50, 3)
    dropped = drop(x_BHT)
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(dropped, dropped[..., :1].expand_as(dropped))  # the same in all steps
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert drop.eval()(x_BHT) is x_BHT
    assert S4D(4, state_size=2, dt_max=0.1, dropout=0.25).dropout.p == 0.25
    with pytest.raises(ValueError, match="probability"):
        DropoutNd(1.0)


def test_groups_of_parameters() -> None:
    made = build_ssm("SS4D", 5, [6, 6], 4, state_size=4)
    ordinary, slow = parameter_groups(made, 0.005)
    assert (ordinary["lr"], ordinary["weight_decay"]) == (0.005, 0.01)
    assert (slow["lr"], slow["weight_decay"]) == (0.001, 0.0)
    names = {id(p): n for n, p in made.named_parameters()}
    found = sorted(names[id(p)] for p in slow["params"])
    assert found == sorted(
        f"{i}.SS4D.kernel.{name}" for i in (0, 1) for name in ("log_dt", "log_A_real", "A_imag")
    )
    in_groups = sum(p.numel() for group in (ordinary, slow) for p in group["params"])
    assert in_groups == count_parameters(made)
    assert parameter_groups(made, 0.0001)[1]["lr"] == 0.0001
    assert len(parameter_groups(nn.Linear(2, 2), 0.1)) == 1
    torch.optim.AdamW(parameter_groups(made, 0.005))


def test_sizes_of_the_configurations() -> None:
    """6 blocks on 40 filter banks and 35 words; the authors count the fixed predictors, too."""
    with torch.device("meta"):
        s4d = build_ssm("S4D", 40, [128] * 6, 35)
        ss4d = build_ssm("SS4D", 40, [128] * 6, 35)
        mamba = build_ssm("Mamba", 40, [64] * 6, 35, normalization="layernorm")
    assert count_parameters(s4d) == 310_691
    assert count_parameters(ss4d) == 311_459
    assert sum(p.numel() for p in ss4d.parameters()) == 311_459 + 6 * 153 == 312_377
    assert count_parameters(mamba) == 159_587
    assert sum(b.numel() for b in s4d.buffers()) == 1542


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"state_size": 3}, "state size"), ({"dt_max": 0.0001}, "dt_max")],
)
def test_numbers_that_make_no_model(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_ssm("S4D", 5, [6], 4, **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="hidden layer"):
        build_ssm("S4D", 5, [], 4)
