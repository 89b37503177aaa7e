//! A row does not depend on its company: not on the other texts, their order, other callers, or the
//! number of threads. Bits are compared.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use ndarray::{Array2, ArrayView1};
use semblance::Model;
use semblance_test_support::{bundle, cross_encoder_bundle, int8_bundle, load};

/// Texts of 3 to about 15 tokens, one in 5 of up to 30, one in 50 of up to 250; all different.
fn company(count: usize) -> Vec<String> {
    let words = ["river", "bridge", "museum", "opening", "hours", "ticket", "price", "zürich"];
    (0..count)
        .map(|i| {
            let most = match i {
                _ if i % 50 == 0 => 240,
                _ if i % 5 == 0 => 20,
                _ => 8,
            };
            let length = 1 + (i * 7919) % most;
            let text: Vec<&str> = (0..length).map(|w| words[(i * 31 + w * w) % 8]).collect();
            format!("{} {i}", text.join(" "))
        })
        .collect()
}

fn with_threads(bundle: &Path, threads: usize) -> Model {
    load(bundle, None, NonZeroUsize::new(threads).unwrap())
}

fn bits(row: ArrayView1<'_, f32>) -> Vec<u32> {
    row.iter().map(|value| value.to_bits()).collect()
}

/// Asserts that row `i` of `found` has the bits of row `place(i)` of `expected`.
#[track_caller]
fn assert_bits(found: &Array2<f32>, expected: &Array2<f32>, place: impl Fn(usize) -> usize) {
    for (index, row) in found.outer_iter().enumerate() {
        assert_eq!(bits(row), bits(expected.row(place(index))), "text {}", place(index));
    }
}

fn assert_invariant(bundle: &Path, count: usize) {
    let texts = company(count);
    let one = with_threads(bundle, 1);
    let expected = one.embed(&texts).unwrap();
    for (index, text) in texts.iter().enumerate() {
        assert_bits(&one.embed(&[text]).unwrap(), &expected, |_| index);
    }
    let reversed: Vec<&String> = texts.iter().rev().collect();
    for threads in [1, 2, 4] {
        let model = with_threads(bundle, threads);
        assert_bits(&model.embed(&texts).unwrap(), &expected, |index| index);
        assert_bits(&model.embed(&reversed).unwrap(), &expected, |index| count - 1 - index);
        thread::scope(|scope| {
            for caller in 0..8 {
                let (model, texts, expected) = (&model, &texts, &expected);
                scope.spawn(move || {
                    let own: Vec<&String> = texts.iter().skip(caller).step_by(8).collect();
                    assert_bits(&model.embed(&own).unwrap(), expected, |index| caller + 8 * index);
                });
            }
        });
    }
    println!(
        "invariance: {count} texts, equal to the last bit alone, among others, in reverse order, \
         from 8 callers at once, and with 1, 2 and 4 threads"
    );
}

#[test]
fn a_vector_is_the_same_bits_in_any_company() {
    assert_invariant(&bundle(), 1_000);
}

#[test]
fn a_vector_of_an_int8_model_is_the_same_bits_in_any_company() {
    assert_invariant(&int8_bundle(), 300);
}

#[test]
fn the_logits_of_a_pair_are_the_same_bits_in_any_company() {
    let texts = company(100);
    let pairs: Vec<(&str, &str)> =
        texts.iter().zip(texts.iter().rev()).map(|(a, b)| (a.as_str(), b.as_str())).collect();
    for name in ["cross", "cross-labels"] {
        let model = |threads| {
            let threads = NonZeroUsize::new(threads).unwrap();
            load(&bundle(), Some(&cross_encoder_bundle(name)), threads)
        };
        let expected = model(1).predict(&pairs).unwrap();
        for threads in [1, 2, 4] {
            let model = model(threads);
            assert_bits(&model.predict(&pairs).unwrap(), &expected, |index| index);
            for (index, pair) in pairs.iter().enumerate() {
                assert_bits(&model.predict(&[*pair]).unwrap(), &expected, |_| index);
            }
        }
    }
}
