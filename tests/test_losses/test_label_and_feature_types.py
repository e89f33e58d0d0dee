"""Every public function of labels takes any integer type; every loss is in float32, also under autocast."""

from __future__ import annotations

import pytest
import torch

import monai_proto.losses as losses
import monai_proto.metrics as metrics
from monai_proto.engines import adapt_prototypes, push_prototypes
from monai_proto.losses.class_cosine import class_sums
from monai_proto.networks.blocks import ClassMemoryBank, PrototypeBank, PrototypeHead
from monai_proto.networks.blocks.selector_scores import selector_scores

INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32, torch.int64]
N, C, D = 60, 3, 8


def _features():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(1))


def _probabilities():
    return _features()[:, :C].softmax(dim=1)


def _bank(labels):
    bank = ClassMemoryBank(C, D, 4)
    bank.update(_features(), labels)
    return bank


def _contrastive(labels, learned=False):
    torch.manual_seed(0)
    loss = losses.MemoryBankContrastiveLoss(C, D, learned)
    features = _features().requires_grad_()
    loss(features, labels, _bank(labels)).backward()
    return [features.grad, *([loss.score(features, labels)] if learned else [])]


def _prototype_loss(labels):
    loss = losses.PrototypeLoss(gamma=1.0)
    return [loss(_head_output(), labels), *loss.components.values()]


def _head_output():
    torch.manual_seed(0)
    head = PrototypeHead(num_classes=C, embedding_dim=D, num_heads=2, in_features=6)
    with torch.no_grad():
        return head(torch.randn(N, 6), torch.randn(N, 6, 2, 2))


def _prototype_bank(labels, change):
    torch.manual_seed(0)
    bank = PrototypeBank(C, D)
    change(bank, [(torch.randn(N, 4, D), labels, [str(i) for i in range(N)])])
    return bank.prototypes


def _balanced_accuracy_metric(labels):
    metric = metrics.BalancedAccuracy(C)
    metric.update((_features()[:, :C], labels))
    return metric.compute()


def _selectors(labels):
    torch.manual_seed(0)
    return selector_scores(losses.MemoryBankContrastiveLoss(C, D, True).feature_selectors, _features(), labels)


def _answers():
    return _features()[:, :C].argmax(dim=1)


MEANS, COUNTS = torch.randn(C, D, generator=torch.Generator().manual_seed(2)), torch.tensor([4, 2, 3])
PROTOTYPE_LABELS = torch.arange(C)
OF_LABELS = {
    "ClassMemoryBank": lambda labels: _bank(labels).rows,
    "MemoryBankContrastiveLoss": _contrastive,
    "MemoryBankContrastiveLoss, learned": lambda labels: _contrastive(labels, True),
    "PrototypeLoss": _prototype_loss,
    "MaskedDiceCELoss": lambda labels: losses.MaskedDiceCELoss()(_features().T[None, :C], labels[None, None]),
    "abstention_loss": lambda labels: losses.abstention_loss(_features()[:, 0].sigmoid(), _features()[:, :C], labels),
    "class_cosine_sums": lambda labels: losses.class_cosine_sums(_features(), labels, MEANS),
    "class_sums": lambda labels: class_sums(_features()[:, 0], labels, C),
    "cluster_loss": lambda labels: losses.cluster_loss(
        _features()[:, :C].abs(), labels, PROTOTYPE_LABELS.to(labels.dtype), torch.tensor([1.0, 2.0, 3.0])
    ),
    "separation_loss": lambda labels: losses.separation_loss(_features()[:, :C].abs(), labels, PROTOTYPE_LABELS, 1.0),
    "diversity_loss": lambda labels: losses.diversity_loss(_features(), labels, 0.1),
    "prototype_contrastive_loss": lambda labels: losses.prototype_contrastive_loss(_features(), labels),
    "memory_bank_contrastive_loss": lambda labels: losses.memory_bank_contrastive_loss(
        _features(), labels, MEANS, COUNTS
    ),
    "intra_class_compactness_loss": lambda labels: losses.intra_class_compactness_loss(
        _features(), labels, MEANS, COUNTS
    ),
    "selector_scores": _selectors,
    "push_prototypes": lambda labels: _prototype_bank(labels, push_prototypes),
    "adapt_prototypes": lambda labels: _prototype_bank(labels, adapt_prototypes),
    "BalancedAccuracy": _balanced_accuracy_metric,
    "balanced_accuracy": lambda labels: metrics.balanced_accuracy(_answers().to(labels.dtype), labels, C),
    "confusion_matrix": lambda labels: metrics.confusion_matrix(_answers().to(labels.dtype), labels, C),
    "class_aurocs": lambda labels: metrics.class_aurocs(_probabilities(), labels),
    "macro_auroc": lambda labels: metrics.macro_auroc(_probabilities(), labels),
    "reliability_curve": lambda labels: list(metrics.reliability_curve(_probabilities(), labels)),
    "expected_calibration_error": lambda labels: metrics.expected_calibration_error(_probabilities(), labels),
    "summarize_classification": lambda labels: list(metrics.summarize_classification(_probabilities(), labels)),
    "selective_balanced_accuracy": lambda labels: (
        metrics.selective_balanced_accuracy(_answers(), labels, _features()[:, 0], C).value
    ),
    "class_feature_means": lambda labels: list(metrics.class_feature_means(_features().T, labels, C)),
}


@pytest.mark.parametrize("name", OF_LABELS)
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_labels_of_any_integer_type(name, dtype):
    labels = torch.randint(0, C, (N,), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        OF_LABELS[name](labels.to(dtype)), OF_LABELS[name](labels), rtol=0, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int16], ids=str)
def test_as_many_classes_as_a_type_has_values(dtype):
    labels = torch.arange(256).to(dtype)
    bank = ClassMemoryBank(256, D, 1)
    bank.update(torch.randn(256, D), labels)
    assert bank.counts.eq(1).all()
    with pytest.raises(
        ValueError, match=r"labels must be in 0 .. 254 or the ignored label -1, got values from 0 to 255"
    ):
        ClassMemoryBank(255, D, 1).update(torch.randn(256, D), labels)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64], ids=str)
def test_ignored_labels_of_signed_types(dtype):
    labels = torch.tensor([0, -1, 1, 0, 1, -1, 2, 2]).to(dtype)
    bank = ClassMemoryBank(3, D, 4)
    bank.update(torch.randn(8, D), labels)
    assert bank.counts.tolist() == [2, 2, 2]


def _floating(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


_LABELS = torch.arange(N) % C
HEAD_OUTPUT = _head_output()
_MASK = (_floating(9, 2, 1, 6, 6) > 0).float()
# name -> the loss, what it takes
OF_FEATURES = {
    "PrototypeLoss": (
        lambda f: losses.PrototypeLoss()(HEAD_OUTPUT._replace(logits=f[:, :C]), _LABELS).detach(),
        _features(),
    ),
    "abstention_loss": (lambda f: losses.abstention_loss(f[:, 0].sigmoid(), f[:, :C], _LABELS), _features()),
    "bce_dice_loss": (lambda f: losses.bce_dice_loss(f, _MASK), _floating(3, 2, 1, 6, 6)),
    "class_cosine_sums": (lambda f: losses.class_cosine_sums(f, _LABELS, MEANS), _features()),
    "cluster_loss": (lambda f: losses.cluster_loss(f, _LABELS, PROTOTYPE_LABELS), _features()[:, :C].abs()),
    "separation_loss": (lambda f: losses.separation_loss(f, _LABELS, PROTOTYPE_LABELS, 1.0), _features()[:, :C].abs()),
    "diversity_loss": (lambda f: losses.diversity_loss(f, _LABELS, 0.1), _features()),
    "prototype_contrastive_loss": (lambda f: losses.prototype_contrastive_loss(f, _LABELS), _features()),
    "embedding_distillation_loss": (lambda f: losses.embedding_distillation_loss(f[:30], f[30:]), _features()),
    "inter_class_separation_loss": (lambda f: losses.inter_class_separation_loss(f[:C], COUNTS), _features()),
    "intra_class_compactness_loss": (
        lambda f: losses.intra_class_compactness_loss(f, _LABELS, MEANS, COUNTS),
        _features(),
    ),
    "memory_bank_contrastive_loss": (
        lambda f: losses.memory_bank_contrastive_loss(f, _LABELS, MEANS, COUNTS),
        _features(),
    ),
    "iou_mse_loss": (lambda f: losses.iou_mse_loss(f.flatten(1)[:, :1], f, _MASK), _floating(3, 2, 1, 6, 6)),
    "mask_iou": (lambda f: losses.mask_iou(f, _MASK), _floating(3, 2, 1, 6, 6)),
    "mask_entropy": (losses.mask_entropy, _floating(3, 2, 1, 6, 6)),
    "pixel_info_nce": (lambda f: losses.pixel_info_nce(f[:20], f[20:40], f[40:]), _features()),
    "softmax_consistency_loss": (lambda f: losses.softmax_consistency_loss(f[:30], f[30:]), _features()),
    "MaskedDiceCELoss": (
        lambda f: losses.MaskedDiceCELoss()(f, _LABELS[None, None]),
        _features().T[None, :C].contiguous(),
    ),
    "MemoryBankContrastiveLoss": (
        lambda f: losses.MemoryBankContrastiveLoss(C)(f, _LABELS, _bank(_LABELS)),
        _features(),
    ),
    "PixelInfoNCELoss": (lambda f: losses.PixelInfoNCELoss()(f[:20], f[20:40], f[40:]), _features()),
    "SoftmaxConsistencyLoss": (lambda f: losses.SoftmaxConsistencyLoss()(f[:30], f[30:]), _features()),
    "VATLoss": (
        lambda f: losses.VATLoss(iterations=1)(torch.sin, torch.ones(1, C, 4), f.T[None, :C, :4]),
        _features(),
    ),
    "class_feature_means": (lambda f: metrics.class_feature_means(f.T, _LABELS, C)[0], _features()),
    "embedding_distances": (
        lambda f: metrics.embedding_distances(f[:30].view(10, 3, D), f[30:].view(10, 3, D)),
        _features(),
    ),
    "prototype_distances": (lambda f: metrics.prototype_distances(f[:C], MEANS), _features()),
}


@pytest.mark.parametrize("name", OF_FEATURES)
def test_float32_under_autocast(name):
    function, inputs = OF_FEATURES[name]
    torch.manual_seed(0)
    expected = function(inputs)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = function(inputs)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", OF_FEATURES)
def test_half_precision_features_count_as_the_float32_numbers_that_they_are(name, dtype):
    function, inputs = OF_FEATURES[name]
    narrow = inputs.to(dtype)
    torch.manual_seed(0)
    value = function(narrow)
    assert value.dtype == torch.float32
    if name != "abstention_loss":  # the sigmoid that makes its input is taken in half precision here
        torch.manual_seed(0)
        torch.testing.assert_close(value, function(narrow.float()), rtol=1e-6, atol=1e-6)


def test_every_loss_stands_here():
    """A new loss has to be added above."""
    no_losses = {
        "BoxPseudoLabel",
        "BoxPseudoLabeler",
        "ContrastSampler",
        "ContrastSamples",
        "WeakSamLoss",  # its terms are above
        "apply_box_prior",
        "balanced_assignment",
        "box_pseudo_label",
        "boxes_to_masks",
        "class_balanced_weights",
        "inverse_root_weights",
        "pseudo_labels",
        "sample_contrast_pixels",
        "sigmoid_ramp_up",
    }
    assert set(losses.__all__) - no_losses <= set(OF_FEATURES)
