//! Dense layers after pooling: the module `Dense` of sentence-transformers.

use ndarray::{Array2, ArrayView2};
use serde::Deserialize;

use crate::kernels::{Activation, Alone, Dense, Kernels, LengthError, PANEL, Then};

/// The function of a dense layer's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenseActivation {
    /// `x`.
    Identity,
    /// `tanh(x)`. The default of sentence-transformers.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`.
    Gelu,
    /// The approximation of Gelu by tanh.
    GeluTanh,
}

/// The shape of a dense layer, and its activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseShape {
    /// Number of input features.
    pub inputs: usize,
    /// Number of output features.
    pub outputs: usize,
    /// The function of the outputs.
    pub activation: DenseActivation,
}

impl DenseShape {
    /// Number of values of the weight, `[outputs / 32, inputs, 32]`, with the last panel padded to
    /// whole.
    fn weights(self) -> usize {
        self.outputs.div_ceil(PANEL).saturating_mul(self.inputs).saturating_mul(PANEL)
    }

    /// Number of values of the weight and the bias.
    #[must_use]
    pub fn values(self) -> usize {
        self.weights().saturating_add(self.outputs)
    }
}

/// A dense layer.
#[derive(Clone, Debug)]
pub struct DenseLayer {
    shape: DenseShape,
    /// `[outputs / 32, inputs, 32]`, as [`Dense::panels`].
    weight: Vec<f32>,
    /// `[outputs]`.
    bias: Vec<f32>,
}

impl DenseLayer {
    /// Returns a layer of this shape. `values` is the weight in panels `[outputs / 32, inputs, 32]`,
    /// then the bias `[outputs]`.
    ///
    /// # Errors
    /// - [`LengthError`] if the number of values is not that of the shape.
    pub fn new(shape: DenseShape, mut values: Vec<f32>) -> Result<Self, LengthError> {
        let (found, expected) = (values.len(), shape.values());
        if found != expected {
            return Err(LengthError { operand: "the dense layer", found, expected });
        }
        let bias = values.split_off(shape.weights());
        Ok(Self { shape, weight: values, bias })
    }

    /// Returns `activation(rows * weight + bias)`, `[rows, outputs]`, f32. `rows` is `[rows, inputs]`.
    ///
    /// # Errors
    /// - [`LengthError`] if the rows do not have the layer's number of inputs.
    pub fn apply(&self, rows: ArrayView2<'_, f32>) -> Result<Array2<f32>, LengthError> {
        let (found, expected) = (rows.ncols(), self.shape.inputs);
        if found != expected {
            return Err(LengthError { operand: "a pooled row", found, expected });
        }
        let (then, is_tanh) = match self.shape.activation {
            DenseActivation::Identity => (Activation::Identity, false),
            DenseActivation::Tanh => (Activation::Identity, true),
            DenseActivation::Relu => (Activation::Relu, false),
            DenseActivation::Gelu => (Activation::Gelu, false),
            DenseActivation::GeluTanh => (Activation::GeluTanh, false),
        };
        let mut out = vec![0.0; rows.nrows() * self.shape.outputs];
        let values = rows.as_standard_layout();
        let values = values.as_slice().unwrap_or_default();
        let dense = Dense { panels: &self.weight, bias: &self.bias };
        Kernels::detect().product(values, dense, Then::Activate(then), &mut out, &Alone)?;
        if is_tanh {
            for value in &mut out {
                *value = value.tanh();
            }
        }
        let length = out.len();
        Array2::from_shape_vec((rows.nrows(), self.shape.outputs), out).map_err(|_| LengthError {
            operand: "the output",
            found: length,
            expected: length,
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// `weight` is `[outputs, inputs]`.
    fn layer(weight: &[&[f32]], bias: &[f32], activation: DenseActivation) -> DenseLayer {
        let shape = DenseShape { inputs: weight[0].len(), outputs: weight.len(), activation };
        let mut values = vec![0.0; shape.weights()];
        for (output, row) in weight.iter().enumerate() {
            for (input, &value) in row.iter().enumerate() {
                let panel = output / PANEL * shape.inputs * PANEL;
                values[panel + input * PANEL + output % PANEL] = value;
            }
        }
        values.extend_from_slice(bias);
        DenseLayer::new(shape, values).unwrap()
    }

    #[test]
    fn a_row_is_multiplied_with_the_weight() {
        let weight: [&[f32]; 3] = [&[1.0, 2.0], &[0.0, -1.0], &[3.0, 0.5]];
        let layer = layer(&weight, &[0.5, 0.0, -1.0], DenseActivation::Identity);
        let rows = array![[1.0, 2.0], [-1.0, 4.0]];
        assert_eq!(layer.apply(rows.view()).unwrap(), array![[5.5, -2.0, 3.0], [7.5, -4.0, -2.0]]);
        assert_eq!(layer.apply(array![[1.0]].view()).unwrap_err().expected, 2);
        assert_eq!(layer.apply(Array2::zeros((0, 2)).view()).unwrap().dim(), (0, 3));
    }

    #[test]
    fn each_activation_is_its_function() {
        let of = |activation| layer(&[&[1.0]], &[0.0], activation).apply(array![[-0.5]].view());
        let value = |activation| of(activation).unwrap()[[0, 0]];
        assert_eq!(value(DenseActivation::Identity), -0.5);
        assert_eq!(value(DenseActivation::Tanh), (-0.5_f32).tanh());
        assert_eq!(value(DenseActivation::Relu), 0.0);
        assert!((value(DenseActivation::Gelu) + 0.154_268_77).abs() < 1e-6);
        assert!((value(DenseActivation::GeluTanh) + 0.154_286).abs() < 1e-6);
    }

    #[test]
    fn the_number_of_values_must_be_that_of_the_shape() {
        let shape = DenseShape { inputs: 2, outputs: 33, activation: DenseActivation::Tanh };
        assert_eq!(shape.values(), 2 * 64 + 33);
        assert_eq!(DenseLayer::new(shape, vec![0.0; 160]).unwrap_err().expected, 161);
    }
}
