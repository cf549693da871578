"""What each part of Tensor-Train search (`tt`, `tt-surrogate`) brings, and what it is worth beside its peers."""
