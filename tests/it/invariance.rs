//! The embedding of a text does not depend on the other texts of its batch.

use std::num::NonZeroUsize;

use semblance_test_support::{bundle, load, service};

/// Maximum difference of an element between a text embedded alone and in a batch.
const TOLERANCE: f32 = 1e-6;

/// Returns distinct texts of 3 to about 120 tokens.
fn distinct_texts(count: usize) -> Vec<String> {
    let words = ["river", "bridge", "museum", "opening", "hours", "ticket", "price", "zürich"];
    (0..count)
        .map(|i| {
            let length = 1 + (i * 7919) % 60;
            let text: Vec<&str> = (0..length).map(|w| words[(i * 31 + w * w) % 8]).collect();
            format!("{} {i}", text.join(" "))
        })
        .collect()
}

#[test]
fn an_embedding_does_not_depend_on_999_other_texts() {
    let mut texts = distinct_texts(999);
    let probes = [
        "How many people live in London?".to_owned(),
        "a".to_owned(),
        "a rather long question about the opening hours of the museum ".repeat(6),
    ];
    texts.truncate(999 - probes.len() + 1);
    for (position, probe) in [0, 400, texts.len()].into_iter().zip(&probes) {
        texts.insert(position, probe.clone());
    }
    let among = service().model().embed(&texts).unwrap();
    let mut largest = 0.0f32;
    for probe in &probes {
        let alone = service().model().embed(&[probe]).unwrap();
        let position = texts.iter().position(|text| text == probe).unwrap();
        for (a, b) in alone.row(0).iter().zip(among.row(position)) {
            largest = largest.max((a - b).abs());
        }
    }
    println!("invariance: {} texts, largest difference of an element {largest:e}", texts.len());
    assert!(largest <= TOLERANCE, "{largest:e}");
}

#[test]
fn an_embedding_does_not_depend_on_the_threads() {
    let texts = distinct_texts(200);
    let alone = service().model().embed(&texts).unwrap();
    let three = load(&bundle(), None, NonZeroUsize::new(3).unwrap());
    let parallel = three.embed(&texts).unwrap();
    let differences = alone.iter().zip(&parallel).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    assert!(largest <= TOLERANCE, "{largest:e}");
}
