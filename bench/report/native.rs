// Copyright 2026 the lazyinit authors. MIT license.

//! What reading an initialized i32 costs in Rust, as a yardstick for the cells.
//! Prints JSON as `measure.ts` does.

use std::hint::black_box;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

const ROUNDS: usize = 40;
const READS: usize = 1_000_000;

/// Reads by turns from two places, as the benchmarks in JavaScript do; returns ns a read.
fn sample(read: impl Fn(usize) -> i32) -> f64 {
    let start = Instant::now();
    let mut sum = 0i32;
    for i in 0..READS {
        sum = sum.wrapping_add(read(black_box(i) & 1));
    }
    black_box(sum);
    start.elapsed().as_nanos() as f64 / READS as f64
}

fn main() {
    let cells = [OnceLock::from(1), OnceLock::from(2)];
    let mutexes = [Mutex::new(1), Mutex::new(2)];
    let atomics = [AtomicI32::new(1), AtomicI32::new(2)];
    let (cells, mutexes, atomics) = black_box((&cells, &mutexes, &atomics));

    let mut samples = [vec![], vec![], vec![]];
    for _ in 0..ROUNDS {
        samples[0].push(sample(|i| *cells[i].get().unwrap()));
        samples[1].push(sample(|i| *mutexes[i].lock().unwrap()));
        samples[2].push(sample(|i| atomics[i].load(Ordering::Acquire)));
    }
    let names = ["OnceLock::get()", "Mutex::lock()", "AtomicI32::load()"];
    let subjects: Vec<String> = names
        .iter()
        .zip(&samples)
        .map(|(name, ns)| format!(r#"{{"name":"{name}","baseline":false,"nanoseconds":{ns:?}}}"#))
        .collect();
    println!("[{}]", subjects.join(","));
}
