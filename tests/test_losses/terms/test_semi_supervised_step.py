from __future__ import annotations

import pytest
import torch
from torch import nn
from toy_step import CLASSES, toy_network, toy_step

from monai_proto.losses.terms import LABELLED, UNLABELLED, MixedView, UnlabelledView
from monai_proto.transforms import RandBidirectionalCopyPaste


def test_one_pass_over_all_views_gives_what_a_pass_over_them_together_gives():
    network, weak = toy_network(), UnlabelledView(["image"])
    step = toy_step([UNLABELLED, weak, UnlabelledView(["image_strong", "image"])], network)
    assert step.views == (LABELLED, UNLABELLED, weak)
    images = torch.cat([step.images, step.unlabelled["image_strong"], step.unlabelled["image"]])
    expected = network(images, full_output=True)
    for view, rows in ((LABELLED, slice(0, 2)), (UNLABELLED, slice(2, 5)), (weak, slice(5, 8))):
        for got, wanted in zip(step.student(view), expected, strict=True):
            torch.testing.assert_close(got, wanted[rows])


def test_nothing_is_computed_before_it_is_asked_for_and_nothing_twice():
    network, calls = toy_network(), []
    network.register_forward_pre_hook(lambda _, args: calls.append(len(args[0])))
    step = toy_step([UNLABELLED], network)
    assert calls == []
    for _ in range(2):
        step.student()
        step.student(UNLABELLED)
    assert calls == [5]
    for _ in range(2):
        step.get(MixedView(lambda a, b: (b, a[1] > 0)).unlabelled.labels)
    assert calls == [5]  # the student's own pseudo-labels come from the pass that there was


def test_a_part_is_made_once_for_all_who_ask_for_an_equal_one():
    mixing = RandBidirectionalCopyPaste()
    first, second = MixedView(mixing), MixedView(mixing)
    step = toy_step([first], strong=0)
    step.unlabelled = {"image": step.unlabelled["image"][:2]}
    assert step.get(first.mix).images is step.get(second.mix).images
    assert step.get(second.labels) is step.get(first.mix).labels
    other = step.get(MixedView(RandBidirectionalCopyPaste()).mix)
    assert other.images is not step.get(first.mix).images


def test_pseudo_labels_are_the_teachers_of_the_weak_view_or_the_students_of_what_it_sees():
    network, teacher = toy_network(0), toy_network(1)
    with torch.no_grad():
        of_teacher = teacher(toy_step().unlabelled["image"]).softmax(1)
    step = toy_step([UNLABELLED], network, teacher=teacher, confidence_floor=0.4)
    for place in torch.cartesian_prod(torch.arange(3), torch.arange(8), torch.arange(8)).tolist():
        b, x, y = place
        probabilities = of_teacher[b, :, x, y].tolist()
        best = max(range(CLASSES), key=lambda c: probabilities[c])
        wanted = best if probabilities[best] >= 0.4 else -1
        assert step.get(UNLABELLED.labels)[b, 0, x, y] == wanted
    assert (step.get(UNLABELLED.labels) == -1).any()
    alone = toy_step([UNLABELLED], network)
    assert torch.equal(alone.get(UNLABELLED.labels), alone.student(UNLABELLED).logits.argmax(1, keepdim=True))
    assert not alone.source_logits.requires_grad
    torch.testing.assert_close(alone.source_logits, network(alone.unlabelled["image"]))


def test_mixed_images_have_true_labels_or_pseudo_labels():
    view = MixedView(RandBidirectionalCopyPaste(), UnlabelledView(["image"]))
    teacher = toy_network(1)
    step = toy_step([view], teacher=teacher)
    step.unlabelled = {"image": step.unlabelled["image"][:2]}
    images, labels, from_labelled = step.get(view.mix)
    pseudo = step.source_logits.argmax(1, keepdim=True)
    for place in torch.cartesian_prod(torch.arange(2), torch.tensor([0]), torch.arange(8), torch.arange(8)).tolist():
        at = tuple(place)
        source = (step.images, step.labels) if from_labelled[at] else (step.unlabelled["image"], pseudo)
        assert (images[at], labels[at]) == (source[0][at], source[1][at])


def test_a_view_that_no_term_names_is_named():
    with pytest.raises(ValueError, match="one of those that the terms name"):
        toy_step().student(UNLABELLED)


def test_images_that_the_loader_does_not_give_are_named():
    view = UnlabelledView(["image_strong_2"])
    with pytest.raises(ValueError, match=r"must have one of \('image_strong_2',\), got \['image', 'image_strong'\]"):
        toy_step([view], strong=1).student(view)


def test_a_wrapped_network_is_unwrapped_for_passes_of_a_terms_own():
    class Wrapped(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    network = toy_network()
    assert toy_step(network=network).bare_network is network
    assert toy_step(network=Wrapped(network)).bare_network is network
