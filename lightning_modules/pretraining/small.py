"""The small backbone that ships: 64-pixel faces, latents of 8 x 16 x 16, about 5.7 M parameters in all."""

TOKEN_DIM = 64

SMALL: dict[str, dict] = {
    # Two pixels per side are folded into channels first; one down-sampling and 8 latent channels keep eyes and lips.
    "vae": {
        "in_channels": 12,
        "out_channels": 12,
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "block_out_channels": [64, 96],
        "layers_per_block": 1,
        "latent_channels": 8,
        "norm_num_groups": 16,
        "mid_block_add_attention": False,
        "sample_size": 32,
    },
    "unet": {
        "sample_size": 16,
        "in_channels": 27,  # noisy latents, the reference's, the same moved, and the face's surface
        "out_channels": 8,
        "down_block_types": ["CrossAttnDownBlockMotion"] * 3,
        "up_block_types": ["CrossAttnUpBlockMotion"] * 3,
        "block_out_channels": [48, 64, 80],
        "layers_per_block": 1,
        "norm_num_groups": 16,
        "cross_attention_dim": TOKEN_DIM,
        "num_attention_heads": 4,
        "motion_num_attention_heads": 4,
        "motion_max_seq_length": 32,
        "use_linear_projection": True,
    },
    "audio": {"token_dim": TOKEN_DIM},
    "identity": {"token_dim": TOKEN_DIM},
    "motion": {"token_dim": TOKEN_DIM},
    "encoder": {"channels": [16, 32, 40, 64]},
    "pose": {"channels": [16, 24, 32, 40]},
    "mover": {"channels": [32, 48, 64]},
}
