"""Many runs of a script: configurations x settings x seeds, several at once, each only once."""
