"""Low-rank adapters: training few weights beside the policy's own, and merging them into it afterwards.

Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685. A merged policy is a plain one: the next E-step, other
engines and converters need not know of adapters. Rank, scale and targets are our choice.

What cannot be merged to the very policy that was trained is refused before training.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from restem.errors import TrainingError
from restem.parameters import LoraParameters

if TYPE_CHECKING:
    import torch

_ADAPTER = "default"  # peft's name for the only one
_PREFIX = "base_model.model."  # of peft's wrapper
_FROZEN = ".base_layer"  # what an adapter stands beside
_N_AXES_OF_EXPERTS = 3  # one weight for all of them: (expert, out, in), or turned (expert, in, out)
_WRAPPER = "_fsdp_wrapped_module."  # in module names, but not in those of a whole state dictionary


def add_adapters(model: Any, parameters: LoraParameters, *, seed: int) -> Any:
    """Return the model with adapters, which alone are trained.

    Args:
        model: A Hugging Face model.
        parameters: `training.lora`.
        seed: Of the adapters' first weights.

    Raises:
        TrainingError: If no layer has such a name, or adapters there could not be merged.
    """
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import set_seed

    targets = parameters.targets
    layers = sorted({name.rpartition(".")[2] for name, _ in model.named_modules() if name})
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=parameters.rank,
        lora_alpha=parameters.alpha,
        target_modules=targets if isinstance(targets, str) else list(targets),
    )
    set_seed(seed)
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise TrainingError(
            f"training.lora.targets = {targets!r} cannot be had: {error} The layers of this policy are called "
            f"{', '.join(layers)}; all-linear takes every linear one"
        ) from error
    _refuse_what_cannot_be_merged(adapted, targets)
    return adapted


def without_adapters(model: Any) -> Any:
    """Return the model under its adapters; a model without any is itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def merged_weights(model: Any, weights: "Mapping[str, torch.Tensor]") -> "Mapping[str, torch.Tensor]":
    """Return the weights of the plain model, each adapter added to what it stands beside.

    The model is left as it is: merging in place and back again would round its weights.

    Args:
        model: With adapters or without.
        weights: Its state dictionary.
    """
    if not hasattr(model, "peft_config"):
        return weights
    changes = {_frozen(place, layer): _change(layer, place, weights) for place, layer in _adapted_layers(model).items()}
    return {
        name.removeprefix(_PREFIX).replace(_FROZEN, ""): weight + changes[name] if name in changes else weight
        for name, weight in weights.items()
        if ".lora_" not in name
    }


def _adapted_layers(model: Any) -> dict[str, Any]:
    """Return the adapters, by their names in a whole state dictionary."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {
        name.replace(_WRAPPER, ""): layer
        for name, layer in model.named_modules(remove_duplicate=False)
        if isinstance(layer, BaseTunerLayer)
    }


def _frozen(place: str, layer: Any) -> str:
    """Return the name of the weight that an adapter stands beside."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    depth, inner = 1, layer.base_layer
    while isinstance(inner, BaseTunerLayer):  # a module with several adapted weights has a wrapper for each
        depth, inner = depth + 1, inner.base_layer
    return f"{place}{_FROZEN * depth}.{getattr(layer, 'parameter_name', 'weight')}"


def _change(layer: Any, place: str, weights: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
    """Return what an adapter adds to the weight that it stands beside, in that weight's shape."""
    import torch
    from peft.tuners.lora import Embedding

    if isinstance(layer, Embedding):  # it has a row per token
        down, up = (weights[f"{place}.lora_embedding_{name}.{_ADAPTER}"] for name in "AB")
        change = (up @ down).T
    else:
        down, up = (weights[f"{place}.lora_{name}.{_ADAPTER}.weight"] for name in "AB")
        if weights[_frozen(place, layer)].ndim == _N_AXES_OF_EXPERTS:
            n = layer.num_experts
            by_expert = (up.reshape(up.shape[0], -1, n), down.reshape(n, -1, down.shape[1]))
            change = torch.einsum("ore,eri->eoi", *by_expert)
            is_turned = getattr(layer.get_base_layer(), "is_transposed", False)
        else:
            change, is_turned = up @ down, layer.fan_in_fan_out
        # GPT-2 has its layers turned, and GPT-OSS its experts: square ones too, so that shapes do not tell.
        change = change.transpose(-1, -2) if is_turned else change
    scaled: torch.Tensor = layer.scaling[_ADAPTER] * change
    return scaled


def _refuse_what_cannot_be_merged(model: Any, targets: str | list[str]) -> None:
    """Raise unless every adapter belongs to one weight of a kind that it can be added to."""
    from peft.tuners.lora import Embedding, Linear, ParamWrapper

    owners: defaultdict[int, set[str]] = defaultdict(set)  # of each weight
    for name, module in model.named_modules():
        for weight in module._parameters.values():
            owners[id(weight)].add(name.removeprefix(_PREFIX).replace(_FROZEN, ""))
    for name, layer in _adapted_layers(model).items():
        place = name.removeprefix(_PREFIX).replace(_FROZEN, "")
        if type(layer) not in (Embedding, Linear, ParamWrapper):
            raise TrainingError(
                f"training.lora.targets = {targets!r} takes {place}, a {type(layer.get_base_layer()).__name__}, whose "
                "adapter cannot be merged into the policy: name linear layers, embeddings and experts only"
            )
        weight = getattr(layer.get_base_layer(), getattr(layer, "parameter_name", "weight"))
        shared = owners[id(weight)] - {place}
        if shared:
            raise TrainingError(
                f"training.lora.targets = {targets!r} takes {place}, which shares its weights with "
                f"{', '.join(sorted(shared))} (tie_word_embeddings): an adapter would change one and not the other, "
                "which no merged policy can hold. Leave it out; all-linear does"
            )
