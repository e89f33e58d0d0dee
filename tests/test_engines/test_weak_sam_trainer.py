"""The weakly supervised trainer on a tiny segmenter with random weights."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.transforms import PadListDataCollate

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from tiny_sam import tiny_lite_medsam

from monai_proto.data import PrefixCache
from monai_proto.engines import BoxPrompts, WeakSamTrainer
from monai_proto.handlers import EMATeacherHandler, EpochSeedHandler, ResumeHandler, TrustedShareHandler
from monai_proto.losses import BoxPseudoLabeler, ContrastSampler, WeakSamLoss
from monai_proto.networks.nets import AdaptableSegmenter

SIZE = (48, 60)
ANY = 0.7  # nats, above ln 2: every pseudo-label is trusted


def objects(count: int = 6, with_masks: bool = True, scramble: bool = False) -> list[dict]:
    """Bright ellipses on noise."""
    generator = torch.Generator().manual_seed(3)
    items = []
    for i in range(count):
        x, y = 24 + 2 * i, 20 + i
        rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
        mask = (((columns - x) / 14) ** 2 + ((rows - y) / 10) ** 2 < 1).float()[None]
        image = 60 * torch.rand(3, *SIZE, generator=generator) + 150 * mask
        item = {
            "image": image,
            "small_box": torch.tensor([x - 6.0, y - 4.0, x + 6.0, y + 4.0]),
            "big_box": torch.tensor([x - 18.0, y - 14.0, x + 18.0, y + 14.0]),
        }
        if with_masks:
            shuffled = mask.flatten()[torch.randperm(mask.numel(), generator=torch.Generator().manual_seed(i))]
            item["mask"] = shuffled.reshape(mask.shape) if scramble else mask
        items.append(item)
    return items


def network_of(trainable_blocks=2):
    torch.manual_seed(1)
    return AdaptableSegmenter(tiny_lite_medsam(), trainable_blocks, projection_dim=8)


def trainer_of(items, network=None, epochs=2, handlers=(), supervision="pseudo_label", learning_rate=0.05, **options):
    network = network or network_of()
    teacher = network.copy_student()
    loader = DataLoader(items, batch_size=3, shuffle=True)
    trainer = WeakSamTrainer(
        "cpu",
        epochs,
        loader,
        network,
        teacher,
        torch.optim.SGD(network.student.parameters(), lr=learning_rate),
        WeakSamLoss(supervision=supervision),
        train_handlers=[EpochSeedHandler(0, loader), *handlers],
        **{"pseudo_labeler": BoxPseudoLabeler(ANY), **options},
    )
    trainer.logger.setLevel(logging.ERROR)
    return trainer


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, after):
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("supervision", ["none", "pseudo_label"])
def test_masks_never_influence_a_weight(supervision):
    weights = []
    for items in (objects(), objects(scramble=True), objects(with_masks=False)):
        trainer = trainer_of(items, supervision=supervision)
        trainer.run()
        weights.append(state_of(trainer.network))
    assert not changed(weights[0], weights[1])
    assert not changed(weights[0], weights[2])


def test_masks_are_only_looked_at():
    trainer, other = trainer_of(objects(), epochs=1), trainer_of(objects(scramble=True), epochs=1)
    trainer.run()
    other.run()
    assert trainer.state.output["mask_loss"] != other.state.output["mask_loss"]
    assert trainer.state.output["loss"] == other.state.output["loss"]


def test_mask_supervision_does_use_them():
    weights = []
    for items in (objects(), objects(scramble=True)):
        trainer = trainer_of(items, supervision="mask")
        trainer.run()
        weights.append(state_of(trainer.network))
    assert changed(*weights)


def test_only_the_last_blocks_neck_and_head_change():
    network = network_of()
    sam, proj = network.segmenter.sam, network.proj
    before, head = state_of(sam), state_of(proj)
    trainer = trainer_of(objects(), network)
    reference = state_of(trainer.reference)
    trainer.run()
    moved = changed(before, sam.state_dict())
    assert moved
    assert all(name.startswith(("image_encoder.layers.3.", "image_encoder.neck.")) for name in moved)
    assert not any("running" in name or "num_batches" in name for name in moved)  # batch statistics stay
    assert "layers.1.running_mean" in changed(head, proj.state_dict())  # the head's own do not
    assert not changed(reference, trainer.reference.state_dict())


def test_teacher_is_the_moving_average():
    trainer = trainer_of(objects(), epochs=3)
    handler = EMATeacherHandler(trainer.network.student, trainer.teacher, decay=0.9, warm_up=False)
    handler.attach(trainer)
    expected = [value.clone().double() for value in trainer.network.student.parameters()]

    @trainer.on(Events.ITERATION_COMPLETED)
    def _follow():
        for mean, value in zip(expected, trainer.network.student.parameters(), strict=True):
            mean.mul_(0.9).add_(value.detach().double(), alpha=0.1)

    trainer.run()
    for mean, value in zip(expected, trainer.teacher.parameters(), strict=True):
        torch.testing.assert_close(value.double(), mean, atol=1e-6, rtol=1e-5)
        assert not value.requires_grad


def test_shared_prefix_equals_three_separate_passes(tmp_path):
    """Embeddings and gradients, without and with the cache, against whole encoders."""
    items = objects(3)
    network = network_of()
    whole = copy.deepcopy(network)
    whole.image_encoder.requires_grad_(True)
    images = torch.stack([item["image"] for item in items])
    embedding = whole.segmenter.embed(images)
    embedding.square().mean().backward()
    segmenter = network.segmenter
    cache = PrefixCache(tmp_path, network.prefix, segmenter.preprocess, segmenter.preprocessing)
    for prefix in (network.embed_prefix, cache, cache):
        features = prefix(images)
        network.zero_grad()
        student = network(features=features)
        torch.testing.assert_close(student.embedding, embedding, atol=1e-5, rtol=1e-5)
        for copied in (network.copy_student(), network.copy_student()):
            torch.testing.assert_close(copied(features).embedding, embedding, atol=1e-5, rtol=1e-5)
        student.embedding.square().mean().backward()
        gradients = dict(whole.image_encoder.named_parameters())
        compared = 0
        for name, value in network.image_encoder.named_parameters():
            if value.requires_grad:
                torch.testing.assert_close(value.grad, gradients[name].grad, atol=1e-5, rtol=1e-4)
                compared += 1
        assert compared > 10
    assert cache.hits == 3


def test_cached_training_equals_training_without(tmp_path):
    weights = []
    for cached in (False, True):
        network = network_of(1)
        segmenter = network.segmenter
        cache = PrefixCache(tmp_path, network.prefix, segmenter.preprocess, segmenter.preprocessing)
        reference = network.copy_student().suffix
        reference_cache = PrefixCache(tmp_path, reference)
        caches = {"prefix_cache": cache, "reference": reference_cache} if cached else {"reference": reference}
        trainer = trainer_of(objects(), network, **caches)
        trainer.run()
        weights.append(state_of(network))
    assert cache.hits > 0
    assert reference_cache.hits == cache.hits
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=1e-5, rtol=1e-4)


def test_whole_encoder_trains_for_a_step():
    network = network_of(0)
    before = state_of(network)
    trainer_of(objects(3), network, epochs=1).run()
    assert any("patch_embed" in name for name in changed(before, network.state_dict()))


@pytest.mark.parametrize("prompt", ["big_box", "middle_box", "loose_box", "ring_points", "both"])
@pytest.mark.parametrize("ring_labels", ["foreground", "background"])
def test_prompts(prompt, ring_labels):
    trainer = trainer_of(objects(), epochs=1, prompts=BoxPrompts(prompt, [prompt], ring_labels))
    trainer.run()
    assert torch.isfinite(trainer.state.output["loss"])


@pytest.mark.parametrize("hard_negatives", ["both", "false_positive", "missed_as_positive"])
def test_every_component_is_in_the_output(hard_negatives):
    trainer = trainer_of(objects(), epochs=1, contrast_sampler=ContrastSampler(hard_negatives))
    trainer.run()
    assert set(map(str, trainer.state.output)) == {
        "loss", "contrast_loss", "distillation_loss", "pseudo_mask_loss", "pseudo_iou_loss", "mask_loss", "iou_loss",
        "trusted_share", "mean_entropy", "skipped_step",
    }  # fmt: skip
    assert all(torch.isfinite(value) and not value.requires_grad for value in trainer.state.output.values())
    assert trainer.state.output["trusted_share"] == 1
    assert trainer.state.output["contrast_loss"] > 0


def test_without_a_trusted_pseudo_label_nothing_is_trained(caplog):
    trainer = trainer_of(objects(), pseudo_labeler=BoxPseudoLabeler(0.0), handlers=[TrustedShareHandler()])
    trainer.logger.setLevel(logging.INFO)
    trainer.logger.propagate = True
    before = state_of(trainer.network)
    with caplog.at_level(logging.INFO):
        trainer.run()
    assert not changed(before, trainer.network.state_dict())  # the head's batch statistics neither
    assert not trainer.optimizer.state
    assert trainer.state.skipped_steps == trainer.state.iteration == 4
    assert trainer.state.metrics == {"trusted_share": 0.0, "skipped_steps": 2}
    assert trainer.state.output["loss"] == 0
    assert "no trusted pseudo-label, no step (4 so far)" in caplog.text
    assert "nothing was trained" in caplog.text


def test_images_of_several_sizes_in_one_batch():
    """Filled up to the largest, every image gives what it gives alone."""
    items = objects(2)
    items[1] = {**items[1], "image": items[1]["image"][:, :44, :50], "mask": items[1]["mask"][:, :44, :50]}
    for item in items:
        item["image_size"] = torch.tensor(item["image"].shape[1:])
    collate = PadListDataCollate(method="end")
    trainer = trainer_of(objects())
    together = trainer.preview(collate(items))
    for row, item in enumerate(items):
        alone = trainer.preview(collate([item]))
        torch.testing.assert_close(together.pseudo_label.entropy[row], alone.pseudo_label.entropy[0])
        torch.testing.assert_close(together.pseudo_label.mask[row], alone.pseudo_label.mask[0])
        torch.testing.assert_close(together.batch.masks[row], alone.batch.masks[0])
        torch.testing.assert_close(together.logits[0][row], alone.logits[0][0], atol=1e-4, rtol=1e-4)


def test_preview_changes_nothing():
    trainer = trainer_of(objects())
    batch = next(iter(DataLoader(objects(), batch_size=3)))
    before, random_state = state_of(trainer.network), torch.get_rng_state()
    trainer.preview(batch)
    assert not changed(before, trainer.network.state_dict())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_resumed_training_equals_an_uninterrupted_one(tmp_path):
    def run(folder, epochs, resume=False):
        network = network_of()
        trainer = trainer_of(objects(), network, epochs)
        state = {
            "sam_image_encoder": network.image_encoder,
            "proj": network.proj,
            "teacher": trainer.teacher,
            "optimizer": trainer.optimizer,
        }
        EMATeacherHandler(network.student, trainer.teacher, 0.9, warm_up=False).attach(trainer)
        ResumeHandler(str(folder), state, resume).attach(trainer)
        trainer.run()
        return torch.load(folder / "last.pt", weights_only=True)

    whole = run(tmp_path / "whole", 3)
    run(tmp_path / "parts", 1)
    resumed = run(tmp_path / "parts", 3, resume=True)
    assert set(whole["sam_image_encoder"]) == set(tiny_lite_medsam().image_encoder.state_dict())
    for part in ("sam_image_encoder", "proj", "teacher"):
        assert not changed(whole[part], resumed[part]), part


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"big_box": "small_box"}, "ring of row 1 between small box .* is empty"),
        ({"small_box": "big_box", "big_box": "small_box"}, "row 1: small box .* is not inside the big box"),
    ],
)
@pytest.mark.parametrize("several_sizes", [False, True])
def test_bad_boxes_are_refused_where_the_batch_comes_in(changes, message, several_sizes):
    items = objects(3)
    items[1] = {**items[1], **{key: items[1][other] for key, other in changes.items()}}
    for row, item in enumerate(items):
        item["image_size"] = torch.tensor([SIZE[0] - (4 if several_sizes and row == 0 else 0), SIZE[1]])
    trainer = trainer_of(objects(3))
    before = state_of(trainer.network)
    with pytest.raises(ValueError, match=message):
        trainer.preview(PadListDataCollate(method="end")(items))
    assert not changed(before, trainer.network.state_dict())


def test_parts_can_be_replaced():
    """Every part is only called: any function that gives the same will do."""
    seen = []

    def labeler(logits, small, big, inside):
        seen.append("label")
        return BoxPseudoLabeler(ANY)(logits, small, big, inside)

    def sampler(*arguments):
        seen.append("sample")
        return ContrastSampler()(*arguments)

    weights = []
    for parts in ({}, {"pseudo_labeler": labeler, "contrast_sampler": sampler}):
        trainer = trainer_of(objects(3), epochs=1, **parts)
        trainer.run()
        weights.append(state_of(trainer.network))
    assert seen == ["label", "sample"]
    assert not changed(*weights)
