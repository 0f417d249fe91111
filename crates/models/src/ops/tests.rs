//! Our kernels beside candle's operations: values and gradients.

use candle_core::{DType, Device, Tensor, Var};
use zoetrope_kernels::gemm::WeightType;

use super::activation::{add, gelu_tanh, swiglu};
use super::attention::{AttentionOptions, attention, candle_attention};
use super::cross_entropy::{candle_cross_entropy, cross_entropy};
use super::linear::{candle_linear, linear};
use super::norm::{candle_layer_norm, candle_rms_norm, layer_norm, rms_norm};
use super::rope::{RopeTables, candle_rope, rope};
use super::{backward, embedding};

fn var(shape: &[usize], phase: f32) -> Var {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.61 + phase).sin()).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

/// Values and gradients of `fast` equal those of `slow` (candle's own operations), f32 rounding apart.
fn same(vars: &[&Var], fast: &dyn Fn() -> Tensor, slow: &dyn Fn() -> Tensor) {
    let weighted = |y: &Tensor| (y * var(y.dims(), 9.0).as_tensor()).unwrap().sum_all().unwrap();
    let (a, b) = (fast(), slow());
    let apart = |a: &Tensor, b: &Tensor| {
        (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap()
    };
    assert!(apart(&a, &b) < 1e-5);
    let (ga, gb) = (weighted(&a).backward().unwrap(), weighted(&b).backward().unwrap());
    for v in vars {
        let difference = apart(ga.get(v).unwrap(), gb.get(v).unwrap());
        assert!(difference < 2e-5, "gradient of {:?} differs by {difference}", v.dims());
    }
}

fn options(causal: bool) -> AttentionOptions {
    AttentionOptions { compute: WeightType::F32, causal, scale: 0.4 }
}

#[test]
fn kernels_agree_with_candle_on_values_and_gradients() {
    let (x, w, b) = (var(&[5, 12], 0.0), var(&[12], 1.0), var(&[12], 2.0));
    let (m, c) = (var(&[7, 12], 1.5), var(&[7], 2.5));
    same(&[&x, &m, &c], &|| linear(&x, &m, Some(&c)).unwrap(), &|| candle_linear(&x, &m, Some(&c)).unwrap());
    same(&[&x, &m], &|| linear(&x, &m, None).unwrap(), &|| candle_linear(&x, &m, None).unwrap());
    same(&[&x, &w, &b], &|| layer_norm(&x, &w, &b, 1e-6).unwrap(), &|| candle_layer_norm(&x, &w, &b, 1e-6).unwrap());
    same(&[&x, &w], &|| rms_norm(&x, &w, 1e-6).unwrap(), &|| candle_rms_norm(&x, &w, 1e-6).unwrap());
    same(&[&x, &x], &|| add(&x, &x.sqr().unwrap()).unwrap(), &|| (x.as_tensor() + x.sqr().unwrap()).unwrap());
    same(&[&x], &|| gelu_tanh(&x).unwrap(), &|| x.gelu().unwrap());
    let up = var(&[5, 12], 3.0);
    same(&[&x, &up], &|| swiglu(&x, &up).unwrap(), &|| (x.silu().unwrap() * up.as_tensor()).unwrap());
    let (targets, ids) = ([3, 0, 11, 3, 7], [4, 0, 4]);
    same(&[&x], &|| cross_entropy(&x, &targets).unwrap(), &|| candle_cross_entropy(&x, &targets).unwrap());
    // Of so many values that they are spread over threads.
    let (wide, many) = (var(&[40, 3000], 0.0), (0..40).map(|row| row * 70).collect::<Vec<u32>>());
    same(&[&wide], &|| cross_entropy(&wide, &many).unwrap(), &|| candle_cross_entropy(&wide, &many).unwrap());
    let rows = Tensor::new(&ids, &Device::Cpu).unwrap();
    same(&[&x], &|| embedding(&x, &ids).unwrap(), &|| x.index_select(&rows, 0).unwrap());
    let (q, k, v) = (var(&[9, 4, 6], 0.0), var(&[9, 2, 6], 1.0), var(&[9, 2, 6], 2.0));
    let angles: Vec<f32> = (0..27).map(|i| i as f32 * 0.2).collect();
    let tables = RopeTables::new(&angles, 3);
    same(&[&q], &|| rope(&q, &tables).unwrap(), &|| candle_rope(&q, &tables).unwrap());
    let lens = [(4, 4), (5, 5)];
    for causal in [false, true] {
        same(&[&q, &k, &v], &|| attention(options(causal), &q, &k, &v, &lens).unwrap(), &|| {
            candle_attention(options(causal), &q, &k, &v, &lens).unwrap()
        });
    }
}

/// Without a gradient candle's operations are fused ones.
#[test]
fn fused_operations_of_candle_are_their_definitions() {
    let (x, w, b) = (var(&[5, 12], 0.0), var(&[12], 1.0), var(&[12], 2.0));
    let (q, k, v) = (var(&[9, 4, 6], 0.0), var(&[9, 2, 6], 1.0), var(&[9, 2, 6], 2.0));
    let angles: Vec<f32> = (0..27).map(|i| i as f32 * 0.2).collect();
    let (tables, lens) = (RopeTables::new(&angles, 3), [(2, 4), (5, 5)]);
    let q7 = q.narrow(0, 0, 7).unwrap();
    type Operation<'a> = &'a dyn Fn(&dyn Fn(&Tensor) -> Tensor) -> Tensor;
    let all: [Operation<'_>; 4] = [
        &|of| candle_layer_norm(&of(&x), &of(&w), &of(&b), 1e-6).unwrap(),
        &|of| candle_rms_norm(&of(&x), &of(&w), 1e-6).unwrap(),
        &|of| candle_rope(&of(&q), &tables).unwrap(),
        &|of| candle_attention(options(true), &of(&q7), &of(&k), &of(&v), &lens).unwrap(),
    ];
    for operation in all {
        let (fused, defined) = (operation(&Tensor::detach), operation(&Tensor::clone));
        assert!(!fused.track_op() && defined.track_op());
        let off = (fused - defined).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(off < 2e-6, "{off}");
    }
}

/// A constant gets no gradient, however it stands beside a variable.
#[test]
fn gradients_go_to_variables_only() {
    let (x, m, c) = (var(&[5, 12], 0.0), var(&[7, 12], 1.5), var(&[7], 2.5));
    let (frozen, bias) = (m.as_detached_tensor(), c.as_detached_tensor());
    let grads = linear(&x, &frozen, Some(&bias)).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&x).is_some() && grads.get(&frozen).is_none() && grads.get(&bias).is_none());
    let grads = linear(&x.as_detached_tensor(), &m, Some(&c)).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&m).is_some() && grads.get(&c).is_some());
}

/// A table that is also a matrix of a layer, used twice: one sum of all its uses.
#[test]
fn gradients_of_a_variable_are_summed_over_its_uses() {
    let (x, table, bias) = (var(&[5, 12], 0.0), var(&[7, 12], 1.5), var(&[7], 2.5));
    let ids = [2, 6, 2];
    let loss = |embedded: &Tensor, layer: &dyn Fn(&Tensor) -> Tensor| {
        let terms = [layer(&x), layer(embedded)].map(|y| y.sqr().unwrap().sum_all().unwrap());
        (&terms[0] + &terms[1]).unwrap()
    };
    let ours = loss(&embedding(&table, &ids).unwrap(), &|x| linear(x, &table, Some(&bias)).unwrap());
    let rows = table.index_select(&Tensor::new(&ids, &Device::Cpu).unwrap(), 0).unwrap();
    let theirs = loss(&rows, &|x| candle_linear(x, &table, Some(&bias)).unwrap()).backward().unwrap();
    let mut gradients = backward(&ours).unwrap();
    for v in [&x, &table, &bias] {
        let want = theirs.get(v).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let got = gradients.take(v).unwrap().unwrap();
        // Sums of some ten products of values of up to 60: as many roundings of 2^-24 of them.
        assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 4e-4), "{got:?} {want:?}");
        assert!(gradients.take(v).unwrap().is_none());
    }
}

#[test]
fn other_types_go_through_f32_and_back() {
    let x = var(&[3, 8], 0.0).to_dtype(DType::BF16).unwrap();
    let w = var(&[8], 1.0).to_dtype(DType::BF16).unwrap();
    assert_eq!(rms_norm(&x, &w, 1e-6).unwrap().dtype(), DType::BF16);
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let (q, k) = (var(&[3, 4, 6], 0.0), var(&[3, 3, 6], 1.0));
    assert!(attention(options(true), &q, &k, &k, &[(3, 3)]).is_err());
    let k = var(&[2, 2, 6], 1.0);
    assert!(attention(options(true), &q, &k, &k, &[(3, 2)]).is_err());
    assert!(rope(&q, &RopeTables::new(&[0.0; 3], 3)).is_err());
    let table = var(&[3, 4], 0.0);
    assert!(embedding(&table, &[3]).is_err() && embedding(&table.as_detached_tensor(), &[3]).is_err());
    for targets in [&[0, 1][..], &[0, 1, 4]] {
        assert!(cross_entropy(&table, targets).is_err());
    }
}
