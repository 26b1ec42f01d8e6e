"""The command `neurofmx`: what users type beside `dvc`. It reads params.yaml, so it stands above everything else."""
