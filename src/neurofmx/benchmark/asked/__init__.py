"""The parts of the benchmark, one file each: what is asked of a fold, and what is reported over folds and seeds."""
