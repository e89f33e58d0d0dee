from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_proto.losses import VATLoss
from monai_proto.losses.vat_loss import frozen_batch_statistics


def make_network(dims=2, seed=0):
    torch.manual_seed(seed)
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if dims == 2 else (nn.Conv3d, nn.BatchNorm3d)
    return nn.Sequential(conv(1, 6, 3, padding=1), norm(6), nn.ReLU(), conv(6, 3, 3, padding=1))


class Recorder(nn.Module):
    """Remembers the images that a network is called on."""

    def __init__(self, network):
        super().__init__()
        self.network, self.images = network, []

    def forward(self, images):
        self.images.append(images.detach().clone())
        return self.network(images)


def distance(network, images, perturbation):
    """The definition: 1 minus soft Dice of the foreground, summed over the batch, mean over channels."""
    with torch.no_grad(), frozen_batch_statistics(network):
        p, q = network(images).softmax(1)[:, 1:], network(images + perturbation).softmax(1)[:, 1:]
    dims = [0, *range(2, p.ndim)]
    return (1 - (2 * (p * q).sum(dims) + 1e-8) / ((p + q).sum(dims) + 1e-8)).mean()


@pytest.mark.parametrize("dims", [2, 3])
def test_steps_have_their_lengths_and_the_loss_is_the_distance_at_the_last(dims):
    network = Recorder(make_network(dims))
    images = torch.randn(2, 1, *[8] * dims)
    value = VATLoss(xi=3.0, epsilon=7.0)(network, images)
    clean, random_step, adversarial = network.images
    assert torch.equal(clean, images)
    for step, length in ((random_step - images, 3.0), (adversarial - images, 7.0)):
        torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.full((2,), length), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(value.detach(), distance(network.network, images, adversarial - images))


@pytest.mark.parametrize("iterations", [1, 3])
def test_power_iterations_call_the_network_as_often(iterations):
    network, images = Recorder(make_network()), torch.randn(2, 1, 8, 8)
    VATLoss(iterations=iterations)(network, images, logits=torch.randn(2, 3, 8, 8))
    assert len(network.images) == iterations + 1


def test_search_for_the_direction_leaves_gradients_alone():
    network, images = make_network(), torch.randn(2, 1, 8, 8)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 5.0)
    value = VATLoss()(network, images)
    assert all(p.grad.eq(5.0).all() for p in network.parameters())
    value.backward()
    assert all(p.grad.isfinite().all() and p.grad.ne(5.0).any() for p in network.parameters() if p.ndim > 1)
    assert images.grad is None


def test_given_logits_are_the_target_and_get_no_gradient():
    network, images = make_network(), torch.randn(2, 1, 8, 8)
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    torch.manual_seed(1)
    value = VATLoss()(network, images, logits)
    torch.manual_seed(1)
    assert value != VATLoss()(network, images)
    value.backward()
    assert logits.grad is None


def test_batch_statistics_of_the_perturbed_images_do_not_enter_the_running_ones():
    network, images = make_network().train(), torch.randn(2, 1, 8, 8)
    logits = network(images)
    before = {name: value.clone() for name, value in network.named_buffers()}
    VATLoss()(network, images, logits).backward()
    for name, value in network.named_buffers():
        assert torch.equal(value, before[name]), name
    assert network.training
    network(images)
    assert not torch.equal(network[1].running_mean, before["1.running_mean"])  # tracking is on again


def test_tracking_is_restored_when_the_network_fails():
    network = make_network()
    network.append(nn.Conv2d(99, 1, 1))
    logits = torch.randn(2, 3, 8, 8)
    with pytest.raises(RuntimeError):
        VATLoss()(network, torch.randn(2, 1, 8, 8), logits)
    assert network[1].track_running_stats
    assert network.training


def test_frozen_statistics_leaves_alone_what_did_not_track():
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    with frozen_batch_statistics(norm):
        pass
    assert not norm.track_running_stats


def test_constant_network_has_no_loss():
    class Constant(nn.Module):
        def forward(self, images):
            return 0 * images + torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1) * 40

    value = VATLoss()(Constant(), torch.randn(2, 1, 8, 8))
    assert value.item() == pytest.approx(0, abs=1e-6)


def trained_network():
    """Tells bright from dark, so that there is a direction that matters."""
    network = make_network(seed=3)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40):
        images = torch.randn(4, 1, 8, 8)
        loss = nn.functional.cross_entropy(network(images), (images[:, 0] > 0).long() + (images[:, 0] > 1).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def test_adversarial_direction_changes_more_than_random_ones():
    network = trained_network()
    images, epsilon = torch.randn(1, 1, 8, 8), 2.0
    with torch.no_grad(), frozen_batch_statistics(network):
        logits = network(images)
    adversarial = VATLoss(xi=1e-2, epsilon=epsilon, iterations=3)(network, images, logits).item()
    at_random = []
    for _ in range(20):
        direction = torch.randn_like(images)
        at_random.append(distance(network, images, epsilon * direction / direction.norm()).item())
    assert adversarial > max(at_random)


@pytest.mark.parametrize("argument", ["xi", "epsilon", "iterations"])
def test_refuses(argument):
    with pytest.raises(ValueError, match=f"{argument} must be positive, got 0"):
        VATLoss(**{argument: 0})
