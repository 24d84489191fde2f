"""The fused CPU backend: step graphs printed as LLVM code."""
