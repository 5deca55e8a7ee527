"""Image encoders: camera images in, state tokens out, all behind `base.Encoder`."""
