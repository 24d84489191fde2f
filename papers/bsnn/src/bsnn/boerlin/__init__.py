"""A balanced spiking auto-encoder after Boerlin, Machens and Denève, apart from all training."""
