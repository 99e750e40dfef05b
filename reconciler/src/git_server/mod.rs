//! A Git repository over smart HTTP on loopback, served by `git http-backend`.
