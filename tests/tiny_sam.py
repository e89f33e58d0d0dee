"""A promptable segmenter with random weights, small enough for tests that train."""

from __future__ import annotations

import torch


def tiny_lite_medsam(image_size: int = 64, seed: int = 0):
    """LiteMedSAM's architecture, five blocks and 32 channels wide, always with the same weights."""
    from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

    from monai_proto.networks.nets.lite_medsam import LiteMedSAM, TinyViTImageEncoder

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = TinyViTImageEncoder(
            image_size, (8, 8, 16, 16), (1, 1, 1, 2), (1, 1, 2, 2), (7, 7, 7, 7), out_channels=32
        )
        side = image_size // 4
        sam = LiteMedSAM(
            image_encoder=encoder,
            prompt_encoder=PromptEncoder(32, (side, side), (image_size, image_size), mask_in_chans=4),
            mask_decoder=MaskDecoder(
                transformer_dim=32,
                transformer=TwoWayTransformer(depth=1, embedding_dim=32, num_heads=2, mlp_dim=32),
                iou_head_depth=2,
                iou_head_hidden_dim=16,
            ),
        )
        for name, value in sam.mask_decoder.named_parameters():
            if name.startswith(("output_upscaling", "output_hypernetworks")) and value.ndim > 1:
                value.data.normal_(std=0.5)  # masks that follow the image instead of the upsampling's stride
    return sam.eval()
