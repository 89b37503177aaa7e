//! The engine's operators in a bundle's graph, computed by [`kernels`](crate::kernels).
//!
//! Weights are read where ONNX Runtime mapped them. `model/src/semblance_model/plain.py` defines each
//! operator in terms of ONNX's own.

use std::sync::Arc;

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::{TensorElementType, ValueRef};

use crate::kernels::{
    Activation, Attention, ByteDense, ByteRange, Dense, Kernels, Norm, Team, Then, Workers,
    access_pages,
};

/// The domain of the operators in a graph.
const DOMAIN: &str = "semblance";

/// Returns every operator; each divides its work among these threads and the caller's.
pub(super) fn operators(kernels: Kernels, workers: &Arc<Workers>) -> ort::Result<OperatorDomain> {
    let mut domain = OperatorDomain::new(DOMAIN)?;
    for kind in Kind::ALL {
        domain = domain.add(EngineOperator { kind, kernels, workers: Arc::clone(workers) })?;
    }
    Ok(domain)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Rows, weight and bias: `activation(rows @ weight + bias)`.
    Product,
    /// The same, with a residual, and scale and shift of a norm: `norm(residual + rows @ weight + bias)`.
    ProductAddNorm,
    /// `Product` with a weight in int8: its scales, sums and factors too.
    ByteProduct,
    /// `ProductAddNorm` with a weight in int8.
    ByteProductAddNorm,
    /// Projections and offsets of texts, and optionally a bias by distance.
    Attention,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Product,
        Self::ProductAddNorm,
        Self::ByteProduct,
        Self::ByteProductAddNorm,
        Self::Attention,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Product => "Product",
            Self::ProductAddNorm => "ProductAddNorm",
            Self::ByteProduct => "ByteProduct",
            Self::ByteProductAddNorm => "ByteProductAddNorm",
            Self::Attention => "Attention",
        }
    }

    fn inputs(self) -> &'static [TensorElementType] {
        use TensorElementType::{Float32 as F32, Int8, Int32};
        match self {
            Self::Product => &[F32, F32, F32],
            Self::ProductAddNorm => &[F32, F32, F32, F32, F32, F32],
            Self::ByteProduct => &[F32, Int8, F32, Int32, F32, F32],
            Self::ByteProductAddNorm => &[F32, Int8, F32, Int32, F32, F32, F32, F32, F32],
            Self::Attention => &[F32, Int32, F32],
        }
    }

    /// How many of the inputs a node must have.
    fn required_inputs(self) -> usize {
        match self {
            Self::Attention => 2,
            _ => self.inputs().len(),
        }
    }
}

struct EngineOperator {
    kind: Kind,
    kernels: Kernels,
    workers: Arc<Workers>,
}

/// An operator with the attributes of one node.
struct EngineKernel {
    kind: Kind,
    kernels: Kernels,
    workers: Arc<Workers>,
    activation: Activation,
    epsilon: f32,
    range: ByteRange,
    heads: usize,
    /// Whether the operator has not run yet.
    is_new: bool,
}

impl Operator for EngineOperator {
    type Kernel<'attr> = EngineKernel;

    fn name(&self) -> &str {
        self.kind.name()
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let required = self.kind.required_inputs();
        self.kind.inputs().iter().enumerate().map(move |(index, &element)| {
            if index < required {
                OperatorInput::required(element)
            } else {
                OperatorInput::optional(element)
            }
        })
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> ort::Result<EngineKernel> {
        let &Self { kind, kernels, .. } = self;
        let adds = matches!(kind, Kind::ProductAddNorm | Kind::ByteProductAddNorm);
        let activates = matches!(kind, Kind::Product | Kind::ByteProduct);
        let counts_bytes = matches!(kind, Kind::ByteProduct | Kind::ByteProductAddNorm);
        let text = |name: &str| node.get::<String>(name).unwrap_or_default();
        let heads = node.get::<i64>("heads").and_then(|heads| usize::try_from(heads).ok());
        Ok(EngineKernel {
            kind,
            kernels,
            workers: Arc::clone(&self.workers),
            activation: match (activates, text("activation").as_str()) {
                (false, _) | (true, "identity") => Activation::Identity,
                (true, "gelu") => Activation::Gelu,
                (true, "gelu_tanh") => Activation::GeluTanh,
                (true, "relu") => Activation::Relu,
                _ => return Err(attribute("activation")),
            },
            epsilon: match node.get::<f32>("epsilon") {
                Some(epsilon) => epsilon,
                None if adds => return Err(attribute("epsilon")),
                None => 0.0,
            },
            range: match (counts_bytes, text("values").as_str()) {
                (false, _) | (true, "centered") => ByteRange::Centered,
                (true, "activated") => ByteRange::Activated,
                _ => return Err(attribute("values")),
            },
            heads: match heads {
                Some(heads) if heads > 0 => heads,
                _ if kind == Kind::Attention => return Err(attribute("heads")),
                _ => 1,
            },
            is_new: true,
        })
    }
}

fn attribute(name: &str) -> ort::Error {
    ort::Error::new(format!("the attribute {name} is missing or unknown"))
}

impl Kernel for EngineKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let mut inputs = Vec::new();
        for index in 0..self.kind.inputs().len() {
            match context.input(index)? {
                Some(input) => inputs.push(input),
                None if index >= self.kind.required_inputs() => break,
                None => return Err(ort::Error::new(format!("input {index} is missing"))),
            }
        }
        let inputs = Operands(&inputs);
        // An output has the axes of the first input; only the length of the last one differs.
        let mut shape = inputs.0[0].shape().to_vec();
        let features = match self.kind {
            Kind::Product | Kind::ProductAddNorm => inputs.length(2)?,
            Kind::ByteProduct | Kind::ByteProductAddNorm => inputs.length(4)?,
            Kind::Attention => shape.last().map_or(0, |&width| width.max(0) as usize / 3),
        };
        let last = shape.last_mut().ok_or_else(|| ort::Error::new("input 0 has no axes"))?;
        *last = features as i64;
        let missing = || ort::Error::new("the output is missing");
        let mut output = context.output(0, shape)?.ok_or_else(missing)?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        if std::mem::take(&mut self.is_new) {
            self.access_weight(&inputs)?;
        }
        self.run(&inputs, output, &*self.workers)
    }
}

impl EngineKernel {
    /// Accesses the pages of the weight, for the first pass.
    fn access_weight(&self, inputs: &Operands<'_>) -> ort::Result<()> {
        match self.kind {
            Kind::Product | Kind::ProductAddNorm => access_pages(inputs.floats(1)?),
            Kind::ByteProduct | Kind::ByteProductAddNorm => access_pages(inputs.of::<i8>(1)?),
            Kind::Attention => {}
        }
        Ok(())
    }

    fn run(&self, inputs: &Operands<'_>, output: &mut [f32], team: &dyn Team) -> ort::Result<()> {
        let x = inputs.floats(0)?;
        let result = match self.kind {
            Kind::Product | Kind::ProductAddNorm => {
                let dense = Dense { panels: inputs.floats(1)?, bias: inputs.floats(2)? };
                let then = self.then(inputs, 3)?;
                self.kernels.product(x, dense, then, output, team)
            }
            Kind::ByteProduct | Kind::ByteProductAddNorm => {
                let dense = ByteDense {
                    panels: inputs.of::<i8>(1)?,
                    scales: inputs.floats(2)?,
                    sums: inputs.of::<i32>(3)?,
                    bias: inputs.floats(4)?,
                    factors: inputs.floats(5)?,
                    range: self.range,
                };
                let then = self.then(inputs, 6)?;
                self.kernels.byte_product(x, dense, then, output, team)
            }
            Kind::Attention => {
                let bias = if inputs.0.len() > 2 { inputs.floats(2)? } else { &[] };
                let offsets = inputs.of::<i32>(1)?;
                let operands = Attention { projected: x, offsets, heads: self.heads, bias };
                self.kernels.attention(operands, output, team)
            }
        };
        result.map_err(|error| ort::Error::new(format!("{}: {error}", self.kind.name())))
    }

    /// What follows a product, whose operands start at input `first`.
    fn then<'a>(&self, inputs: &Operands<'a>, first: usize) -> ort::Result<Then<'a>> {
        if matches!(self.kind, Kind::Product | Kind::ByteProduct) {
            return Ok(Then::Activate(self.activation));
        }
        let norm = Norm {
            scale: inputs.floats(first + 1)?,
            shift: inputs.floats(first + 2)?,
            epsilon: self.epsilon,
        };
        Ok(Then::AddNorm { residual: inputs.floats(first)?, norm })
    }
}

/// The inputs of one node.
struct Operands<'a>(&'a [ValueRef<'a>]);

impl<'a> Operands<'a> {
    fn floats(&self, index: usize) -> ort::Result<&'a [f32]> {
        self.of::<f32>(index)
    }

    fn of<T: ort::value::PrimitiveTensorElementType>(&self, index: usize) -> ort::Result<&'a [T]> {
        Ok(self.0[index].try_extract_tensor::<T>()?.1)
    }

    /// Length of the first axis.
    fn length(&self, index: usize) -> ort::Result<usize> {
        let length = self.0[index].shape().first().copied().unwrap_or(0);
        usize::try_from(length).map_err(|_| ort::Error::new("an axis has no length"))
    }
}
