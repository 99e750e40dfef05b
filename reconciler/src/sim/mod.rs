//! Simulated clusters behind the Kubernetes API.
