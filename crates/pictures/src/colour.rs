//! From the colours that a picture's ICC profile states to sRGB, which networks assume.
//!
//! Phones write Display P3: its pixels shown as sRGB look faded. Profiles made of three primaries
//! and three curves are converted, as cameras and screens have them (ICC.1:2022, 8.3 and 10.6);
//! others (inks, tables, greys) and broken ones are taken for sRGB.

/// A conversion of eight-bit RGB.
pub(super) struct ToSrgb {
    /// For each channel, the light of each of its 256 values.
    curves: [[f32; 256]; 3],
    /// From the light of the profile's primaries to that of sRGB's.
    matrix: [[f32; 3]; 3],
    /// sRGB's value for light in equal steps from 0 to 1.
    values: Vec<u8>,
}

/// Enough that neighbours differ by at most one value in the darkest, steepest part.
const STEPS: usize = 1 << 14;

/// From the profile connection space, XYZ under D50, to the light of sRGB's primaries.
const SRGB_FROM_XYZ: [[f32; 3]; 3] = [
    [3.133_856, -1.616_867, -0.490_615],
    [-0.978_768, 1.916_142, 0.033_454],
    [0.071_945, -0.228_991, 1.405_243],
];

impl ToSrgb {
    /// `None` where there is nothing to convert: no profile, not one of the kind above, or sRGB.
    pub(super) fn from_profile(icc: &[u8]) -> Option<ToSrgb> {
        if icc.get(16..24)? != b"RGB XYZ " {
            return None;
        }
        let mut curves = [[0.0; 256]; 3];
        let mut matrix = [[0.0; 3]; 3];
        for (channel, name) in [b'r', b'g', b'b'].into_iter().enumerate() {
            let curve = Curve::parse(tag(icc, &[name, b'T', b'R', b'C'])?)?;
            for (value, light) in curves[channel].iter_mut().enumerate() {
                *light = curve.light(value as f32 / 255.0).clamp(0.0, 1.0);
            }
            let primary = tag(icc, &[name, b'X', b'Y', b'Z'])?;
            let [x, y, z] = [fixed(primary, 8)?, fixed(primary, 12)?, fixed(primary, 16)?];
            for (row, from) in matrix.iter_mut().zip(SRGB_FROM_XYZ) {
                row[channel] = from[0] * x + from[1] * y + from[2] * z;
            }
        }
        let value = |step: usize| {
            let light = step as f32 / (STEPS - 1) as f32;
            let value = if light <= 0.003_130_8 {
                light * 12.92
            } else {
                1.055 * light.powf(1.0 / 2.4) - 0.055
            };
            (value * 255.0).round() as u8
        };
        let conversion = ToSrgb { curves, matrix, values: (0..STEPS).map(value).collect() };
        (!conversion.changes_nothing()).then_some(conversion)
    }

    pub(super) fn apply(&self, pixels: &mut [u8]) {
        for pixel in pixels.as_chunks_mut().0 {
            *pixel = self.convert(*pixel);
        }
    }

    fn convert(&self, [r, g, b]: [u8; 3]) -> [u8; 3] {
        let [red, green, blue] = &self.curves;
        let (r, g, b) = (red[usize::from(r)], green[usize::from(g)], blue[usize::from(b)]);
        self.matrix.map(|row| {
            let light = (row[0] * r + row[1] * g + row[2] * b).clamp(0.0, 1.0);
            self.values[(light * (STEPS - 1) as f32 + 0.5) as usize]
        })
    }

    /// Most profiles are some maker's sRGB: seen at a grid of colours, to a difference none can see.
    fn changes_nothing(&self) -> bool {
        const GRID: [u8; 5] = [0, 48, 128, 200, 255];
        GRID.into_iter().all(|r| {
            GRID.into_iter().all(|g| {
                GRID.into_iter().all(|b| {
                    let same = |(to, from): (u8, u8)| to.abs_diff(from) <= 2;
                    self.convert([r, g, b]).into_iter().zip([r, g, b]).all(same)
                })
            })
        })
    }
}

enum Curve<'a> {
    Gamma(f32),
    /// Sixteen-bit samples at equal steps.
    Samples(&'a [[u8; 2]]),
    /// g, a, b, c, d, e, f of `(a x + b)^g + e` from d on, `c x + f` below.
    Parametric([f32; 7]),
}

impl Curve<'_> {
    fn parse(tag: &[u8]) -> Option<Curve<'_>> {
        match tag.first_chunk()? {
            b"curv" => match (be32(tag, 8)? as usize, tag.get(12..)?) {
                (0, _) => Some(Curve::Gamma(1.0)),
                (1, [whole, part, ..]) => {
                    Some(Curve::Gamma(f32::from(*whole) + f32::from(*part) / 256.0))
                }
                (count, samples) => Some(Curve::Samples(samples.as_chunks().0.get(..count)?)),
            },
            b"para" => {
                // Which of the seven each function type states, in the file's order.
                let kind = usize::from(*tag.get(9)?);
                let stated = *[1, 3, 4, 5, 7].get(kind)?;
                let mut p = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
                for (at, value) in p.iter_mut().take(stated).enumerate() {
                    *value = fixed(tag, 12 + 4 * at)?;
                }
                let [g, a, b, c, ..] = p;
                Some(Curve::Parametric(match kind {
                    1 => [g, a, b, 0.0, -b / a, 0.0, 0.0],
                    2 => [g, a, b, 0.0, -b / a, c, c],
                    _ => p,
                }))
            }
            _ => None,
        }
    }

    fn light(&self, value: f32) -> f32 {
        match self {
            Curve::Gamma(gamma) => value.powf(*gamma),
            Curve::Parametric([g, a, b, c, d, e, f]) => {
                if value >= *d {
                    (a * value + b).max(0.0).powf(*g) + e
                } else {
                    c * value + f
                }
            }
            Curve::Samples(samples) => {
                let at = value * (samples.len().saturating_sub(1)) as f32;
                let sample = |at: usize| {
                    let last = samples.len().saturating_sub(1);
                    samples.get(at.min(last)).map_or(0.0, |s| f32::from(u16::from_be_bytes(*s)))
                };
                let (low, high) = (sample(at as usize), sample(at as usize + 1));
                (low + (high - low) * at.fract()) / 65535.0
            }
        }
    }
}

fn tag<'a>(icc: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let count = be32(icc, 128)? as usize;
    let entries = icc.get(132..)?.as_chunks::<12>().0;
    let entry = entries.iter().take(count).find(|entry| entry.starts_with(name))?;
    let (start, length) = (be32(entry, 4)? as usize, be32(entry, 8)? as usize);
    icc.get(start..start.checked_add(length)?)
}

/// A signed 15.16 fixed-point number.
fn fixed(data: &[u8], at: usize) -> Option<f32> {
    Some(be32(data, at)? as i32 as f32 / 65536.0)
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}
