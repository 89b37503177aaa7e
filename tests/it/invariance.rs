//! A vector does not depend on what else is in its batch.

use std::num::NonZeroUsize;

use semblance_test_support::{bundle, load, service};

/// Largest difference of an element, alone against in company.
const TOLERANCE: f32 = 1e-6;

/// Texts of 3 to about 120 tokens, all different.
fn company(count: usize) -> Vec<String> {
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
fn a_text_embeds_the_same_alone_or_among_999_others() {
    let mut texts = company(999);
    let probes = [
        "How many people live in London?".to_owned(),
        "a".to_owned(),
        "a rather long question about the opening hours of the museum ".repeat(6),
    ];
    texts.truncate(999 - probes.len() + 1);
    for (place, probe) in [0, 400, texts.len()].into_iter().zip(&probes) {
        texts.insert(place, probe.clone());
    }
    let among = service().model().embed(&texts).unwrap();
    let mut largest = 0.0f32;
    for probe in &probes {
        let alone = service().model().embed(&[probe]).unwrap();
        let place = texts.iter().position(|text| text == probe).unwrap();
        for (a, b) in alone.row(0).iter().zip(among.row(place)) {
            largest = largest.max((a - b).abs());
        }
    }
    println!("invariance: {} texts, largest difference of an element {largest:e}", texts.len());
    assert!(largest <= TOLERANCE, "{largest:e}");
}

#[test]
fn lanes_side_by_side_give_what_one_gives() {
    let texts = company(200);
    let alone = service().model().embed(&texts).unwrap();
    let three = load(&bundle(), None, NonZeroUsize::new(3).unwrap());
    let side_by_side = three.embed(&texts).unwrap();
    let differences = alone.iter().zip(&side_by_side).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    assert!(largest <= TOLERANCE, "{largest:e}");
}
