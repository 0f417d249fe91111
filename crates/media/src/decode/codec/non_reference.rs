//! Non-reference pictures: samples that need not be decoded unless their frame is requested.

use crate::container::nal::units::units;

/// The units of an H.264 sample; `None` when nobody needs its pictures.
pub(super) fn needed_h264(data: &[u8], length_size: usize, requested: bool) -> Option<Vec<&[u8]>> {
    let units = units(data, length_size);
    (requested || !h264(&units)).then_some(units)
}

/// The units of an HEVC sample; `None` when nobody needs its picture.
pub(super) fn needed_hevc(data: &[u8], length_size: usize, temporal_layers: u8, requested: bool) -> Option<Vec<&[u8]>> {
    let units = units(data, length_size);
    (requested || !hevc(&units, temporal_layers)).then_some(units)
}

/// Whether an H.264 sample holds only pictures that no other picture refers to.
fn h264(units: &[&[u8]]) -> bool {
    let mut slices = units.iter().filter(|u| matches!(u[0] & 0x1f, 1..=5)).peekable();
    slices.peek().is_some() && slices.all(|u| u[0] & 0x60 == 0)
}

/// Whether an HEVC sample holds only sub-layer non-reference pictures of the top temporal layer.
fn hevc(units: &[&[u8]], temporal_layers: u8) -> bool {
    let mut slices = units.iter().filter(|u| u.len() > 2 && (u[0] >> 1) & 0x3f < 32).peekable();
    let top = |u: &&&[u8]| {
        let (unit_type, id) = ((u[0] >> 1) & 0x3f, (u[1] & 7).saturating_sub(1));
        unit_type <= 14 && unit_type % 2 == 0 && temporal_layers > 0 && id + 1 == temporal_layers
    };
    slices.peek().is_some() && slices.all(|u| top(&u))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_reference_pictures_are_recognized() {
        assert!(h264(&[&[0x06, 1], &[0x01, 1]]));
        assert!(!h264(&[&[0x41, 1]]) && !h264(&[&[0x06, 1]]));
        assert!(hevc(&[&[0x00, 0x01, 9]], 1));
        assert!(!hevc(&[&[0x02, 0x01, 9]], 1) && !hevc(&[&[0x00, 0x01, 9]], 2));
    }
}
