"""k8s://...: what it wants set, and asking its apiserver."""
