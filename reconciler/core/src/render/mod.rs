//! Turns placements into the files of each cluster.
