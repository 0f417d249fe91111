//! Rows that go through different sets of weights, chosen by what a row is (modality experts, arXiv 2311.03079).
//!
//! Legend: T rows.

use candle_core::{Result, Tensor, bail};

/// Which of several sets of weights each row goes through.
#[derive(Clone, Debug)]
pub(super) struct ExpertRows {
    /// The expert of each row, `[T]`.
    expert_of: Vec<u8>,
    /// The rows of each expert, ascending.
    rows: Vec<Vec<u32>>,
}

impl ExpertRows {
    /// # Errors
    /// When a row asks for an expert that there is not.
    pub(super) fn new(expert_of: Vec<u8>, experts: usize) -> Result<Self> {
        let mut rows = vec![Vec::new(); experts];
        for (row, &expert) in expert_of.iter().enumerate() {
            match rows.get_mut(usize::from(expert)) {
                Some(own) => own.push(row as u32),
                None => bail!("row {row} asks for expert {expert}: this decoder has {experts} sets of weights"),
            }
        }
        Ok(ExpertRows { expert_of, rows })
    }

    /// The experts of the rows `rows`.
    pub(super) fn select(&self, rows: &[u32]) -> Result<Self> {
        Self::new(rows.iter().map(|&row| self.expert_of[row as usize]).collect(), self.rows.len())
    }

    /// `f` of each expert and its rows of `inputs` `[T, ..]`; the results are in the order of all rows again.
    pub(super) fn forward<E, const I: usize, const O: usize>(
        &self,
        experts: &[E],
        inputs: [&Tensor; I],
        f: impl Fn(&E, [&Tensor; I]) -> Result<[Tensor; O]>,
    ) -> Result<[Tensor; O]> {
        let used: Vec<usize> = (0..experts.len()).filter(|&expert| !self.rows[expert].is_empty()).collect();
        if used.len() <= 1 {
            return f(&experts[used.first().copied().unwrap_or(0)], inputs);
        }
        let device = inputs[0].device();
        let mut parts: Vec<[Tensor; O]> = Vec::with_capacity(used.len());
        for &expert in &used {
            let rows = Tensor::from_slice(&self.rows[expert], self.rows[expert].len(), device)?;
            let own = inputs.iter().map(|x| x.index_select(&rows, 0)).collect::<Result<Vec<_>>>()?;
            parts.push(f(&experts[expert], std::array::from_fn(|input| &own[input]))?);
        }
        let places = Tensor::from_vec(self.places(), self.expert_of.len(), device)?;
        let mut all = Vec::with_capacity(O);
        for output in 0..O {
            let of_experts: Vec<&Tensor> = parts.iter().map(|part| &part[output]).collect();
            all.push(Tensor::cat(&of_experts, 0)?.index_select(&places, 0)?);
        }
        all.try_into().map_err(|_| candle_core::Error::Msg("as many results as an expert has".to_string()))
    }

    /// For each row its place among the rows of all experts laid end to end.
    fn places(&self) -> Vec<u32> {
        let mut places = vec![0; self.expert_of.len()];
        self.rows.iter().flatten().zip(0..).for_each(|(&row, place)| places[row as usize] = place);
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn every_row_goes_through_its_own_expert_and_comes_back_in_place() {
        let x = Tensor::new(&[[1f32], [2.0], [3.0], [4.0]], &Device::Cpu).unwrap();
        let times = |rows: &ExpertRows, x: &Tensor| {
            let [y, twice] = rows.forward(&[10.0, 100.0, 1000.0], [x, x], |factor, [a, b]| {
                let y = (a * *factor)?;
                Ok([y.clone(), (y + b)?])
            })?;
            assert_eq!((&y + x)?.flatten_all()?.to_vec1::<f32>()?, twice.flatten_all()?.to_vec1::<f32>()?);
            y.flatten_all()?.to_vec1::<f32>()
        };
        let rows = ExpertRows::new(vec![2, 0, 2, 0], 3).unwrap();
        assert_eq!(times(&rows, &x).unwrap(), [1000.0, 20.0, 3000.0, 40.0]);
        let last = x.narrow(0, 2, 2).unwrap();
        assert_eq!(times(&rows.select(&[2, 3]).unwrap(), &last).unwrap(), [3000.0, 40.0]);
        assert_eq!(times(&rows.select(&[1, 3]).unwrap(), &last).unwrap(), [30.0, 40.0]);
        let error = ExpertRows::new(vec![0, 3], 3).unwrap_err().to_string();
        assert!(error.contains("row 1 asks for expert 3: this decoder has 3 sets"), "{error}");
    }
}
