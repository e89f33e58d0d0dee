from __future__ import annotations

import pytest
from ignite.engine import Engine
from torch import nn

from monai_proto.handlers import PrototypeStageHandler


class _Staged(nn.Module):
    stage = "joint"

    def set_stage(self, stage: str) -> None:
        self.stage = stage


def run(max_epochs: int, **stages: int) -> None:
    trainer = Engine(lambda *_: None)
    PrototypeStageHandler(_Staged(), **stages).attach(trainer)
    trainer.run([0], max_epochs=max_epochs)


@pytest.mark.parametrize("epochs", [1, 4, 7, 8])
def test_a_run_without_a_joint_stage_is_refused_with_what_fits(epochs):
    with pytest.raises(ValueError, match=r"max_epochs \d leaves no epoch .* need max_epochs of 9 or more") as caught:
        run(epochs, warm_up_epochs=3, last_layer_epochs=5)
    if "fit." in str(caught.value):
        run(epochs, warm_up_epochs=1, last_layer_epochs=1)
    else:
        assert epochs < 3


def test_the_shortest_run_with_all_stages_and_one_that_only_warms_up_are_taken():
    run(9, warm_up_epochs=3, last_layer_epochs=5)
    run(2, warm_up_epochs=5)
