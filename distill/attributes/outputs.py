"""The numbers of a network's output → scores by name. N images, K numbers of one output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from distill.attributes.settings import ScoreSettings
from distill.errors import UnsupportedCheckpoint
from distill.networks.onnx_network import OnnxNetwork

LEAST = 1e-7  # a probability that is given as 0 counts as this one
SUM_ERROR = 1e-3  # of given probabilities; in float16 they sum to 1 within 5e-4
ENDINGS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}  # ONNX operators that give probabilities


def read_output(score: ScoreSettings, output_NK: Tensor) -> dict[str, Tensor]:
    """Return the scores [N] of one output, float64 [N, K], tempered as the settings say."""
    if score.kind == "value":
        return {score.name: score.scale * output_NK[:, 0] + score.offset}
    if score.kind == "sigmoid":
        shares_NK = torch.sigmoid(_logits(score, output_NK) / score.temperature)
    else:
        shares_NK = torch.softmax(_logits(score, output_NK) / score.temperature, dim=1)
    if score.kind == "expectation":
        return _mean_and_spread(score, shares_NK)
    if score.positive is not None:
        return {score.name: shares_NK[:, score.labels.index(score.positive)]}
    return dict(zip(score.names, shares_NK.unbind(dim=1), strict=True))


def chosen_output(score: ScoreSettings, outputs: Mapping[str, Tensor], key: str) -> Tensor:
    """Return the output that a score is read off; `key` is the score's place in the file, for errors."""
    if score.output in outputs:
        return outputs[score.output]
    if not score.output and len(outputs) == 1:
        return next(iter(outputs.values()))
    known = ", ".join(outputs)
    if score.output:
        raise UnsupportedCheckpoint(f"{key}.output: the network gives no {score.output!r}, but {known}")
    raise UnsupportedCheckpoint(f"{key}.output: the network has {len(outputs)} outputs; name one of {known}")


def check_output(score: ScoreSettings, output_NK: Tensor, key: str) -> None:
    """Refuse an output of another number than the score needs, or that cannot be what it is said to be."""
    found, said = output_NK.shape[1], score.count
    if found != said:
        what = {"softmax": "labels", "expectation": "values"}.get(
            score.kind, "labels" if said > 1 else "number"
        )
        raise UnsupportedCheckpoint(
            f"{key}: the network gives {found} numbers per image, but the score has {said} {what}"
        )
    if not torch.isfinite(output_NK).all():
        raise UnsupportedCheckpoint(f"{key}: the network gives numbers that are not finite for a grey image")
    if score.given == "probabilities" and not _are_probabilities(score, output_NK):
        low, high = output_NK.min().item(), output_NK.max().item()
        raise UnsupportedCheckpoint(
            f"{key}.given: no probabilities: from {low:.4g} to {high:.4g}, sum {output_NK[0].sum().item():.4g} "
            "for a grey image; say given = 'logits'"
        )


def check_endings(scores: Sequence[ScoreSettings], network: nn.Module) -> None:
    """Refuse logits that the graph of an ONNX network has turned into probabilities already."""
    if not isinstance(network, OnnxNetwork):
        return
    for number, score in enumerate(scores):
        name = score.output or network.outputs[0]
        operator, before = network.endings.get(name, ("", ""))
        if score.kind != "value" and score.given == "logits" and operator in ENDINGS:
            raise UnsupportedCheckpoint(
                f"scores.{number}.given: {name!r} has gone through a {ENDINGS[operator]} already; say "
                f"given = 'probabilities', or output = {before!r}"
            )


def _logits(score: ScoreSettings, output_NK: Tensor) -> Tensor:
    """Return what a softmax or sigmoid turns into the probabilities."""
    if score.given == "logits":
        return output_NK
    shares_NK = output_NK.clamp(LEAST, 1 - LEAST)
    return torch.logit(shares_NK) if score.kind == "sigmoid" else torch.log(shares_NK)


def _mean_and_spread(score: ScoreSettings, shares_NK: Tensor) -> dict[str, Tensor]:
    values_K = torch.tensor(score.values, device=shares_NK.device, dtype=shares_NK.dtype)
    mean_N = shares_NK @ values_K
    variance_N = (shares_NK * (values_K - mean_N[:, None]) ** 2).sum(dim=1)
    name, spread = score.names
    return {name: mean_N, spread: variance_N.sqrt()}


def _are_probabilities(score: ScoreSettings, output_NK: Tensor) -> bool:
    inside = bool(((output_NK >= -SUM_ERROR) & (output_NK <= 1 + SUM_ERROR)).all())
    if score.kind == "sigmoid":
        return inside
    return inside and bool(((output_NK.sum(dim=1) - 1).abs() <= SUM_ERROR).all())
