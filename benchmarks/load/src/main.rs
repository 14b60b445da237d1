//! Load client of the benchmarks.
fn main() {}
