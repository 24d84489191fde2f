"""The fused GPU backend: step graphs printed as Triton kernels."""
