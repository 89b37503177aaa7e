//! Every instruction set of the machine, by switch, against the definition in double precision.
#![expect(clippy::print_stdout, reason = "the instruction sets are shown with --nocapture")]

use std::thread;

use proptest::prelude::*;

use super::*;

fn sets() -> Vec<Kernels> {
    InstructionSet::ALL.into_iter().filter_map(Kernels::of).collect()
}

/// Threads that really run at once.
struct Threads(usize);

impl Team for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, work: &(dyn Fn() + Sync)) {
        thread::scope(|scope| {
            for _ in 1..self.0 {
                scope.spawn(work);
            }
            work();
        });
    }
}

/// Seeded values around 0, most of them small.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0 * 2.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Values whose first lies `offset` values behind the start of an allocation: any alignment.
struct Unaligned(Vec<f32>, usize);

impl Unaligned {
    fn new(values: &[f32], offset: usize) -> Self {
        let mut room = vec![f32::NAN; offset];
        room.extend(values);
        Self(room, offset)
    }

    fn get(&self) -> &[f32] {
        &self.0[self.1..]
    }
}

/// `[features, inputs]` in panels of `width` features, and groups of `group` inputs.
fn panels<T: Copy>(weight: &[T], inputs: usize, width: usize, group: usize, padding: T) -> Vec<T> {
    let features = weight.len() / inputs;
    let mut panels = Vec::new();
    for panel in 0..features.div_ceil(width) {
        for first in (0..inputs).step_by(group) {
            for feature in panel * width..(panel + 1) * width {
                for input in first..first + group {
                    let exists = feature < features && input < inputs;
                    panels.push(if exists { weight[feature * inputs + input] } else { padding });
                }
            }
        }
    }
    panels
}

fn erf(x: f64) -> f64 {
    // The Taylor series, and the continued fraction where it converges slowly.
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for n in (1..200).rev() {
        fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
    }
    let rest = (-x * x).exp() / ((x.abs() + fraction) * std::f64::consts::PI.sqrt());
    (1.0 - rest).copysign(x)
}

fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Gelu => x * (1.0 + erf(x / 2f64.sqrt())) / 2.0,
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            x * (1.0 + inner.tanh()) / 2.0
        }
        Activation::Relu => x.max(0.0),
    }
}

fn normalized(row: &[f64], norm: Norm<'_>) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
    let deviation = (variance + f64::from(norm.epsilon)).sqrt();
    let scaled = row.iter().zip(norm.scale).zip(norm.shift);
    scaled.map(|((x, &a), &b)| (x - mean) / deviation * f64::from(a) + f64::from(b)).collect()
}

/// What follows a product, in double precision.
fn then(products: Vec<Vec<f64>>, then: Then<'_>) -> Vec<Vec<f64>> {
    match then {
        Then::Activate(activation) => products
            .into_iter()
            .map(|row| row.into_iter().map(|x| activated(activation, x)).collect())
            .collect(),
        Then::AddNorm { residual, norm } => {
            let residual = residual.chunks_exact(norm.scale.len());
            let rows = products.into_iter().zip(residual);
            rows.map(|(row, residual)| {
                let sum: Vec<f64> =
                    row.iter().zip(residual).map(|(a, &b)| a + f64::from(b)).collect();
                normalized(&sum, norm)
            })
            .collect()
        }
    }
}

fn difference(found: &[f32], expected: &[Vec<f64>]) -> f64 {
    let pairs = found.iter().zip(expected.iter().flatten());
    pairs.map(|(&found, expected)| (f64::from(found) - expected).abs()).fold(0.0, f64::max)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

const ACTIVATIONS: [Activation; 4] =
    [Activation::Identity, Activation::Gelu, Activation::GeluTanh, Activation::Relu];

#[test]
fn the_machine_has_more_than_portable_code() {
    let sets: Vec<InstructionSet> = sets().into_iter().map(Kernels::instruction_set).collect();
    println!("instruction sets: {sets:?}");
    assert_eq!(sets.last(), Some(&InstructionSet::Portable));
    assert_eq!(Kernels::detect().instruction_set(), sets[0]);
    #[cfg(target_arch = "aarch64")]
    assert!(sets.contains(&InstructionSet::Neon));
}

#[test]
fn gelu_is_exact_over_all_of_its_range() {
    // A product of one input with the weight 1 gives the input to the activation.
    let x: Vec<f32> = (-120_000..=120_000).map(|step| step as f32 / 10_000.0).collect();
    let mut panel = vec![0.0; PANEL];
    panel[0] = 1.0;
    for kernels in sets() {
        for activation in ACTIVATIONS {
            let mut out = vec![0.0; x.len()];
            let dense = Dense { panels: &panel, bias: &[0.0] };
            kernels.product(&x, dense, Then::Activate(activation), &mut out, &Alone).unwrap();
            for (&x, &found) in x.iter().zip(&out) {
                let expected = activated(activation, f64::from(x));
                let error = (f64::from(found) - expected).abs();
                let bound = 1.2e-7 * f64::from(x).abs().max(1.0);
                assert!(error <= bound, "{kernels:?} {activation:?} {x}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn no_activation_hides_a_nan_or_an_infinity() {
    let mut panel = vec![0.0; PANEL];
    panel[0] = 1.0;
    let x = [f32::NAN, f32::INFINITY, f32::MAX, -1e4];
    for kernels in sets() {
        for activation in ACTIVATIONS {
            let mut out = [0.0; 4];
            let dense = Dense { panels: &panel, bias: &[0.0] };
            kernels.product(&x, dense, Then::Activate(activation), &mut out, &Alone).unwrap();
            let what = format!("{kernels:?} {activation:?}: {out:?}");
            assert!(out[0].is_nan(), "{what}");
            assert_eq!(out[1..3], x[1..3], "{what}");
            let expected = if activation == Activation::Identity { -1e4 } else { 0.0 };
            assert!((out[3] - expected).abs() < 1e-6, "{what}");
        }
    }
}

/// Few inputs, and more than all tiles multiply before they go on.
fn input_counts() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 1usize..70, 1 => if cfg!(miri) { 1usize..70 } else { 380..900 }]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 64 }))]

    #[test]
    fn a_product_is_the_definition_and_its_rows_know_no_others(
        rows in 1usize..40,
        features in 1usize..100,
        inputs in input_counts(),
        offset in 0usize..16,
        seed: u64,
        activation in 0usize..5,
    ) {
        let weight = values(features * inputs, seed);
        let x = Unaligned::new(&values(rows * inputs, seed ^ 1), offset);
        let bias = Unaligned::new(&values(features, seed ^ 2), offset / 2);
        let residual = values(rows * features, seed ^ 3);
        let (scale, shift) = (values(features, seed ^ 4), values(features, seed ^ 5));
        let norm = Norm { scale: &scale, shift: &shift, epsilon: 1e-3 };
        let what = |rows: Range<usize>| match ACTIVATIONS.get(activation) {
            Some(&activation) => Then::Activate(activation),
            None => Then::AddNorm {
                residual: &residual[rows.start * features..rows.end * features],
                norm,
            },
        };
        let products = x.get().chunks_exact(inputs).map(|row| {
            weight.chunks_exact(inputs).zip(bias.get()).map(|(weight, &bias)| {
                let terms = row.iter().zip(weight).map(|(&a, &b)| f64::from(a) * f64::from(b));
                f64::from(bias) + terms.sum::<f64>()
            }).collect()
        }).collect();
        let expected = then(products, what(0..rows));
        let panels = Unaligned::new(&panels(&weight, inputs, PANEL, 1, f32::NAN), offset);
        let dense = Dense { panels: panels.get(), bias: bias.get() };
        for kernels in sets() {
            let mut out = vec![f32::NAN; rows * features];
            kernels.product(x.get(), dense, what(0..rows), &mut out, &Threads(3)).unwrap();
            prop_assert!(difference(&out, &expected) < 1e-4, "{kernels:?}");
            for row in 0..rows {
                let mut alone = vec![f32::NAN; features];
                let x = &x.get()[row * inputs..][..inputs];
                kernels.product(x, dense, what(row..row + 1), &mut alone, &Alone).unwrap();
                prop_assert_eq!(bits(&alone), bits(&out[row * features..][..features]));
            }
        }
    }

    #[test]
    fn a_product_of_bytes_is_the_definition_and_its_rows_know_no_others(
        rows in 1usize..40,
        features in 1usize..50,
        inputs in 1usize..70,
        offset in 0usize..16,
        seed: u64,
        range in prop_oneof![Just(ByteRange::Centered), Just(ByteRange::Activated)],
    ) {
        // No sum of two adjacent weights exceeds 128.
        let weight: Vec<i8> =
            values(features * inputs, seed).iter().map(|x| (x * 64.0) as i8).collect();
        let x = Unaligned::new(&values(rows * inputs, seed ^ 1), offset);
        let least = if range == ByteRange::Activated { 0.17 } else { 1.0 };
        let x = Unaligned::new(&x.get().iter().map(|x| x.max(-least)).collect::<Vec<_>>(), offset);
        let factors: Vec<f32> = values(inputs, seed ^ 2).iter().map(|x| 1.0 + x.abs()).collect();
        let factors = if range == ByteRange::Activated { vec![1.0; inputs] } else { factors };
        let (scales, bias) = (values(features, seed ^ 3), values(features, seed ^ 4));
        let sums: Vec<i32> =
            weight.chunks_exact(inputs).map(|row| row.iter().map(|&w| i32::from(w)).sum()).collect();
        let panels = panels(&weight, inputs, BYTE_PANEL, GROUP, 0);
        let dense = ByteDense {
            panels: &panels, scales: &scales, sums: &sums, bias: &bias, factors: &factors, range,
        };
        // The same with exact activations: no further away than rounding to a step takes it.
        let expected: Vec<Vec<f64>> = x.get().chunks_exact(inputs).map(|row| {
            weight.chunks_exact(inputs).zip(&scales).zip(&bias).map(|((weight, &scale), &bias)| {
                let terms = row.iter().zip(weight).zip(&factors);
                let sum: f64 = terms
                    .map(|((&x, &w), &factor)| f64::from(x) * f64::from(factor) * f64::from(w))
                    .sum();
                sum * f64::from(scale) + f64::from(bias)
            }).collect()
        }).collect();
        // The largest scale of a row: of an activated one, the least that it can have.
        let step = if range == ByteRange::Activated { 0.171 / 16.0 } else { 2.0 / 127.0 };
        let what = Then::Activate(Activation::Identity);
        let mut by_set = Vec::new();
        for kernels in sets() {
            let mut out = vec![f32::NAN; rows * features];
            kernels.byte_product(x.get(), dense, what, &mut out, &Threads(3)).unwrap();
            let bound = 0.51 * step * 64.0 * inputs as f64 + 1e-4;
            prop_assert!(difference(&out, &expected) < bound, "{kernels:?}");
            for row in 0..rows {
                let mut alone = vec![f32::NAN; features];
                let x = &x.get()[row * inputs..][..inputs];
                kernels.byte_product(x, dense, what, &mut alone, &Alone).unwrap();
                prop_assert_eq!(bits(&alone), bits(&out[row * features..][..features]));
            }
            by_set.push(out);
        }
        // Integers are summed, so instruction sets can differ in the last rounding only.
        for other in &by_set {
            let expected: Vec<Vec<f64>> =
                by_set[0].chunks(features).map(|row| row.iter().map(|&x| x.into()).collect()).collect();
            prop_assert!(difference(other, &expected) < 1e-4);
        }
    }

    #[test]
    fn attention_is_the_definition_and_a_text_knows_no_others(
        lengths in proptest::collection::vec(0usize..70, 1..5),
        heads in 1usize..4,
        head_size in 1usize..40,
        // Positions above the longest text; none is no bias.
        spare in proptest::option::of(0usize..20),
        seed: u64,
    ) {
        let hidden = heads * head_size;
        let positions = lengths.iter().max().unwrap() + spare.unwrap_or(0);
        let distances = (2 * positions).saturating_sub(1);
        let biases = if spare.is_some() { heads * distances } else { 0 };
        let bias: Vec<f32> = values(biases, seed ^ 1).iter().map(|x| 3.0 * x).collect();
        let mut offsets = vec![0i32];
        offsets.extend(lengths.iter().scan(0i32, |end, &length| {
            *end += length as i32;
            Some(*end)
        }));
        let tokens = lengths.iter().sum::<usize>();
        prop_assume!(tokens > 0);
        let projected: Vec<f32> =
            values(tokens * 3 * hidden, seed).iter().map(|x| 4.0 * x).collect();
        let mut expected = vec![vec![0.0f64; hidden]; tokens];
        for text in offsets.windows(2) {
            let text = text[0] as usize..text[1] as usize;
            let at = |token: usize, part: usize, feature: usize| {
                f64::from(projected[token * 3 * hidden + part * hidden + feature])
            };
            for head in 0..heads {
                let features = head * head_size..(head + 1) * head_size;
                for query in text.clone() {
                    let weights: Vec<f64> = text.clone().map(|key| {
                        let score: f64 =
                            features.clone().map(|f| at(query, 0, f) * at(key, 1, f)).sum();
                        let column = head * distances + (key + positions - 1 - query);
                        let bias = bias.get(column).map_or(0.0, |&bias| f64::from(bias));
                        (score / (head_size as f64).sqrt() + bias).exp()
                    }).collect();
                    let total: f64 = weights.iter().sum();
                    for feature in features.clone() {
                        let values = text.clone().zip(&weights);
                        expected[query][feature] =
                            values.map(|(token, w)| w / total * at(token, 2, feature)).sum();
                    }
                }
            }
        }
        for kernels in sets() {
            let mut out = vec![f32::NAN; tokens * hidden];
            let all =
                Attention { projected: &projected, offsets: &offsets, heads, bias: &bias };
            kernels.attention(all, &mut out, &Threads(3)).unwrap();
            prop_assert!(difference(&out, &expected) < 2e-5, "{kernels:?}");
            for text in offsets.windows(2) {
                let (start, end) = (text[0] as usize, text[1] as usize);
                let mut alone = vec![f32::NAN; (end - start) * hidden];
                let projected = &projected[start * 3 * hidden..end * 3 * hidden];
                let length = [0, text[1] - text[0]];
                let text = Attention { projected, offsets: &length, ..all };
                kernels.attention(text, &mut alone, &Alone).unwrap();
                prop_assert_eq!(bits(&alone), bits(&out[start * hidden..end * hidden]));
            }
        }
    }
}

#[test]
fn the_largest_products_of_bytes_do_not_saturate() {
    let inputs = 1_536;
    // 64 and 64, 127 and 1: pairs of the largest sum that a bundle may have.
    let weight: Vec<i8> = (0..inputs).map(|i| [64, 64, 127, 1][i % 4]).collect();
    let sums = [weight.iter().map(|&w| i32::from(w)).sum()];
    let panels = panels(&weight, inputs, BYTE_PANEL, GROUP, 0);
    let ones = vec![1.0; inputs];
    // Large enough for the range of an activated row to end at 255.
    let x = vec![3.0; inputs];
    for range in [ByteRange::Centered, ByteRange::Activated] {
        for kernels in sets() {
            let dense = ByteDense {
                panels: &panels,
                scales: &[1.0],
                sums: &sums,
                bias: &[0.0],
                factors: &ones,
                range,
            };
            let mut out = [0.0];
            let then = Then::Activate(Activation::Identity);
            kernels.byte_product(&x, dense, then, &mut out, &Alone).unwrap();
            let expected = 3.0 * sums[0] as f32;
            assert!((out[0] / expected - 1.0).abs() < 1e-6, "{kernels:?}: {}", out[0]);
        }
    }
}

#[test]
fn a_row_of_zeros_stays_finite() {
    let weight = [1i8; 4];
    let panels = panels(&weight, 4, BYTE_PANEL, GROUP, 0);
    for kernels in sets() {
        let dense = ByteDense {
            panels: &panels,
            scales: &[1.0],
            sums: &[4],
            bias: &[0.5],
            factors: &[1.0; 4],
            range: ByteRange::Centered,
        };
        let mut out = [f32::NAN];
        let then = Then::Activate(Activation::Identity);
        kernels.byte_product(&[0.0; 4], dense, then, &mut out, &Alone).unwrap();
        assert_eq!(out, [0.5]);
    }
}

#[test]
fn operands_that_do_not_belong_together_are_refused() {
    let kernels = Kernels::detect();
    let then = Then::Activate(Activation::Identity);
    let mut out = [0.0; 4];
    let dense = |panels| Dense { panels, bias: &[0.0; 2] };
    let of = |result: Result<(), LengthError>| result.unwrap_err().operand;
    let panels = [0.0; 3 * PANEL];
    assert_eq!(kernels.product(&[0.0; 6], dense(&panels), then, &mut out, &Alone), Ok(()));
    assert_eq!(
        of(kernels.product(&[0.0; 6], dense(&panels[1..]), then, &mut out, &Alone)),
        "the weight"
    );
    assert_eq!(
        of(kernels.product(&[0.0; 7], dense(&panels), then, &mut out, &Alone)),
        "the activations"
    );
    assert_eq!(
        of(kernels.product(&[0.0; 6], dense(&panels), then, &mut out[1..], &Alone)),
        "the output"
    );
    let norm = Norm { scale: &[1.0; 2], shift: &[0.0], epsilon: 0.0 };
    let add = Then::AddNorm { residual: &[0.0; 4], norm };
    assert_eq!(
        of(kernels.product(&[0.0; 6], dense(&panels), add, &mut out, &Alone)),
        "the norm's shift"
    );
    let attention = |offsets: &[i32], out: &mut [f32]| {
        let operands = Attention { projected: &[0.0; 12], offsets, heads: 1, bias: &[] };
        kernels.attention(operands, out, &Alone)
    };
    assert_eq!(attention(&[0, 2], &mut out), Ok(()));
    assert_eq!(of(attention(&[0, 3], &mut out)), "the output");
    assert_eq!(of(attention(&[0, 2, 1, 2], &mut out)), "an offset");
    assert_eq!(of(attention(&[1, 2], &mut out)), "an offset");
    assert_eq!(of(attention(&[0, -1, 2], &mut out)), "an offset");
    for (distances, fits) in [(3, true), (5, true), (2, false), (1, false), (4, false)] {
        let bias = vec![0.0; distances];
        let operands = Attention { projected: &[0.0; 12], offsets: &[0, 2], heads: 1, bias: &bias };
        assert_eq!(kernels.attention(operands, &mut out, &Alone).is_ok(), fits, "{distances}");
    }
}
