//! What must not drift: shapes, names, dependencies, promises.

mod documents;
mod examples;
mod homes;
mod packages;
mod purity;
mod schemas;
mod scripts;
mod shape;
mod sources;
mod workflows;
