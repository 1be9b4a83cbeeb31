//! Pictures: from what people upload to the JPEGs that networks take. A crate of its own, so that the
//! loops over pixels, which others have written for every kind of them, are compiled once and optimised
//! in every build.
//!
//! A picture is decoded once, within `Limits` checked against its header, to eight bits of red,
//! green and blue in the sRGB space; each output is cut and scaled from those pixels, turned the
//! way its Exif orientation says, and encoded with nothing but pixels inside: no Exif, place,
//! profile or other metadata survives. Everything runs on the caller's thread and takes a tenth of
//! a second for twelve megapixels: callers keep it off the threads that serve requests.
//! `decode` reads the formats, `colour` brings wide colours to sRGB, `probe` reads the headers.

mod colour;
mod decode;
pub mod probe;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{
    ChromaSubsamplingMethod, ColorType, Encoder, QuantizationTableType, SamplingFactor,
};

use probe::{Header, Kind, damaged};

/// How a picture is brought to another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// As much as has the shape, this point as near to its middle as can be: in percent of the width
    /// from the left and of the height from the top, as it is seen.
    Around { x: i64, y: i64 },
    /// All of it, on a ground made of its own colours.
    Pad,
}

impl Fit {
    pub const MIDDLE: Fit = Fit::Around { x: 50, y: 50 };
}

/// The longer side of a thumbnail, in pixels.
pub const THUMBNAIL_SIDE: u32 = 320;

const QUALITY: u8 = 82;
/// Tried in turn by `fit` before it makes a picture smaller.
const FIT_QUALITIES: [u8; 6] = [85, 80, 75, 70, 65, 60];

/// The largest picture that is decoded. A pixel takes up to 11 bytes at the peak, mostly 3 to 4;
/// those that take twice that (16-bit PNG, progressive JPEG) count double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub max_pixels: u64,
    /// Most pixels of the longer side.
    pub max_side: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_pixels: 100_000_000, max_side: 30_000 }
    }
}

impl Limits {
    /// Refuses by its header alone what would unfold to too much.
    pub(crate) fn admit(&self, header: &Header) -> Result<(), PictureError> {
        let &Header { width, height, heavy, .. } = header;
        let (max, max_side) = (self.max_pixels / if heavy { 2 } else { 1 }, self.max_side);
        if u64::from(width) * u64::from(height) > max || width.max(height) > max_side {
            return Err(PictureError::TooManyPixels { width, height, max, max_side });
        }
        Ok(())
    }
}

/// Why a picture was refused; each sentence says what its owner can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("The file is not a picture. Upload a JPEG, PNG, WebP or GIF file.")]
    NotAPicture,
    #[error(
        "Pictures of the type `{}` cannot be read. Save it as JPEG or PNG and upload that.",
        .0.content_type()
    )]
    Unsupported(Kind),
    #[error(
        "The picture has {width} × {height} pixels. At most {max} in all and {max_side} on a side \
         can be used for its type. Make it smaller and upload it again."
    )]
    TooManyPixels { width: u32, height: u32, max: u64, max_side: u32 },
    #[error("The picture cannot be read: {0}. Export it again and upload the new file.")]
    Damaged(String),
    #[error("The picture cannot be brought below {max_bytes} bytes. Use a simpler picture.")]
    DoesNotFit { max_bytes: u64 },
}

/// An encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jpeg {
    pub data: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// The whole picture in few bytes, see `Picture::fit`.
pub fn fit(
    data: &[u8],
    max_bytes: u64,
    max_side: u32,
    limits: &Limits,
) -> Result<Jpeg, PictureError> {
    Picture::decode(data, limits)?.fit(max_bytes, max_side)
}

/// The whole picture, small, see `Picture::thumbnail`.
pub fn thumbnail(data: &[u8], side: u32, limits: &Limits) -> Result<Jpeg, PictureError> {
    Picture::decode(data, limits)?.thumbnail(side)
}

/// Pixels (RGB, eight bits each, rows from the top) as a picture.
pub fn drawn(pixels: &mut [u8], width: u32, height: u32) -> Result<Jpeg, PictureError> {
    Rendered { pixels, width, height }.encode(QUALITY)
}

/// A decoded picture, for who wants several JPEGs of it.
pub struct Picture {
    /// RGB, eight bits each, rows from the top, as stored: not yet turned.
    pixels: Vec<u8>,
    width: u32,
    height: u32,
    orientation: u8,
    /// Set where the file states other colours than sRGB. Applied to what is rendered, which is
    /// far fewer pixels than were decoded.
    colour: Option<colour::ToSrgb>,
}

impl Picture {
    /// One of each of these widths and heights, in their order. Small pictures are enlarged, because
    /// networks ask for certain sizes.
    pub fn cut(&self, sizes: &[(u32, u32)], fit: Fit) -> Result<Vec<Jpeg>, PictureError> {
        let mut renderer = Renderer::default();
        let mut order: Vec<_> = sizes.iter().copied().enumerate().collect();
        // The one that needs the largest buffer between its passes first: the others reuse it.
        order.sort_by_key(|&(_, (width, height))| Reverse(self.between_passes(width, height)));
        let mut made = Vec::with_capacity(order.len());
        for (at, (width, height)) in order {
            let rendered = match fit {
                Fit::Around { x, y } => renderer.render(self, Part::Around(x, y), width, height)?,
                Fit::Pad => renderer.pad(self, width, height)?,
            };
            made.push((at, rendered.encode(QUALITY)?));
        }
        made.sort_by_key(|(at, _)| *at);
        Ok(made.into_iter().map(|(_, jpeg)| jpeg).collect())
    }

    /// The whole picture in at most `max_bytes`, and `max_side` pixels on its longer side.
    /// Quality gives way first, from 85 to 60, then size. Never enlarges.
    pub fn fit(&self, max_bytes: u64, max_side: u32) -> Result<Jpeg, PictureError> {
        let mut renderer = Renderer::default();
        let mut side = max_side.clamp(1, self.longer_side());
        loop {
            let (width, height) = self.size_within(side);
            let rendered = renderer.render(self, Part::Whole, width, height)?;
            let mut bytes = 0;
            for quality in FIT_QUALITIES {
                let jpeg = rendered.encode(quality)?;
                bytes = jpeg.data.len() as u64;
                if bytes <= max_bytes {
                    return Ok(jpeg);
                }
                if bytes / 3 > max_bytes {
                    break; // the lowest quality takes more than a third of the highest's bytes
                }
            }
            if side == 1 {
                return Err(PictureError::DoesNotFit { max_bytes });
            }
            // Bytes go roughly with the area; the clamp keeps a bad guess from wasting the picture.
            let scale = (max_bytes as f64 / bytes as f64).sqrt().clamp(0.25, 0.95);
            side = ((f64::from(side) * scale) as u32).max(1);
        }
    }

    /// The whole picture, at most `side` pixels on its longer side. Never enlarges.
    pub fn thumbnail(&self, side: u32) -> Result<Jpeg, PictureError> {
        let (width, height) = self.size_within(side.clamp(1, self.longer_side()));
        Renderer::default().render(self, Part::Whole, width, height)?.encode(QUALITY)
    }

    fn longer_side(&self) -> u32 {
        self.width.max(self.height).min(u16::MAX.into()) // a JPEG holds no more
    }

    /// Width and height, as seen, with the longer side at `side`.
    fn size_within(&self, side: u32) -> (u32, u32) {
        let scale = f64::from(side) / f64::from(self.width.max(self.height));
        let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        self.turned(scaled(self.width), scaled(self.height))
    }

    /// Between stored and seen, either way.
    fn turned(&self, width: u32, height: u32) -> (u32, u32) {
        if self.orientation >= 5 { (height, width) } else { (width, height) }
    }

    /// Where the largest part of this shape (width and height as stored) lies that has the focus in
    /// its middle, or as near to it as can be: how much of what is cut off, 0 to 1, is on the left
    /// and at the top, as stored.
    fn around(&self, focus: (i64, i64), shape: (u32, u32)) -> (f64, f64) {
        let part = |percent: i64| percent.clamp(0, 100) as f64 / 100.0;
        let (x, y) = (part(focus.0), part(focus.1));
        // As in `turn`, from what is seen to what is stored.
        let (x, y) = match self.orientation {
            2 => (1.0 - x, y),
            3 => (1.0 - x, 1.0 - y),
            4 => (x, 1.0 - y),
            5 => (y, x),
            6 => (y, 1.0 - x),
            7 => (1.0 - y, 1.0 - x),
            8 => (1.0 - y, x),
            _ => (x, y),
        };
        let (wide, high) = (f64::from(self.width), f64::from(self.height));
        let ratio = f64::from(shape.0) / f64::from(shape.1);
        let (width, height) = (wide.min(high * ratio), high.min(wide / ratio));
        let before = |at: f64, all: f64, kept: f64| match all - kept {
            cut if cut > 0.0 => ((at * all - kept / 2.0) / cut).clamp(0.0, 1.0),
            _ => 0.5,
        };
        (before(x, wide, width), before(y, high, height))
    }

    /// Bytes that scaling holds between its two passes: rows of the cut part, as many as come out.
    fn between_passes(&self, width: u32, height: u32) -> u64 {
        let (width, height) = self.turned(width, height);
        let cut = u64::from(self.height) * u64::from(width) / u64::from(height.max(1));
        cut.min(self.width.into()) * u64::from(height) * 3
    }
}

/// What is shown of a picture.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    /// As much as has the shape asked for, the focus as near to its middle as can be.
    Around(i64, i64),
}

/// Named by their pixels: what scales others is not compiled.
type Source<'a> = TypedImageRef<'a, U8x3>;
type Target<'a> = TypedImage<'a, U8x3>;

/// Scales and turns, in buffers that are used again for the next size.
#[derive(Default)]
struct Renderer {
    resizer: Resizer,
    scaled: Vec<u8>,
    turned: Vec<u8>,
    ground: Vec<u8>,
}

impl Renderer {
    /// A part of a picture at a size as seen. Scaled before it is turned, because that moves fewer
    /// pixels.
    fn render(
        &mut self,
        picture: &Picture,
        part: Part,
        width: u32,
        height: u32,
    ) -> Result<Rendered<'_>, PictureError> {
        let source =
            Source::from_buffer(picture.width, picture.height, &picture.pixels).map_err(damaged)?;
        let (stored_width, stored_height) = picture.turned(width, height);
        let length = width as usize * height as usize * 3;
        self.scaled.resize(length.max(self.scaled.len()), 0);
        let scaled = &mut self.scaled[..length];
        let mut target =
            Target::from_buffer(stored_width, stored_height, scaled).map_err(damaged)?;
        let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
        let options = ResizeOptions::new().resize_alg(lanczos).use_alpha(false);
        let options = match part {
            Part::Whole => options,
            Part::Around(x, y) => {
                let slack = picture.around((x, y), (stored_width, stored_height));
                options.fit_into_destination(Some(slack))
            }
        };
        self.resizer.resize_typed(&source, &mut target, &options).map_err(damaged)?;
        let pixels = if picture.orientation == 1 {
            &mut self.scaled[..length]
        } else {
            self.turned.resize(length.max(self.turned.len()), 0);
            let turned = &mut self.turned[..length];
            turn(&self.scaled[..length], stored_width, stored_height, picture.orientation, turned);
            turned
        };
        if let Some(colour) = &picture.colour {
            colour.apply(pixels);
        }
        Ok(Rendered { pixels, width, height })
    }
}

/// By how much the ground of a padded picture is made smaller before it is enlarged: the blur.
const BLUR: u32 = 48;

impl Renderer {
    /// All of a picture in the middle of this size, on a blurred ground of its own colours.
    fn pad(
        &mut self,
        picture: &Picture,
        width: u32,
        height: u32,
    ) -> Result<Rendered<'_>, PictureError> {
        let (low_width, low_height) = (width.div_ceil(BLUR), height.div_ceil(BLUR));
        let centre = Part::Around(50, 50);
        let low = self.render(picture, centre, low_width, low_height)?.pixels.to_vec();
        let low = Source::from_buffer(low_width, low_height, &low).map_err(damaged)?;
        let mut ground = std::mem::take(&mut self.ground);
        ground.resize(width as usize * height as usize * 3, 0);
        let mut target = Target::from_buffer(width, height, &mut ground).map_err(damaged)?;
        let smooth = ResizeAlg::Convolution(FilterType::Gaussian);
        let options = ResizeOptions::new().resize_alg(smooth).use_alpha(false);
        self.resizer.resize_typed(&low, &mut target, &options).map_err(damaged)?;

        let (wide, high) = picture.turned(picture.width, picture.height);
        let scale = (f64::from(width) / f64::from(wide)).min(f64::from(height) / f64::from(high));
        let scaled = |side: u32, most| ((f64::from(side) * scale).round() as u32).clamp(1, most);
        let (inner_width, inner_height) = (scaled(wide, width), scaled(high, height));
        let inner = self.render(picture, Part::Whole, inner_width, inner_height)?;
        let row = inner_width as usize * 3;
        let (left, top) = ((width - inner_width) / 2, (height - inner_height) / 2);
        for (y, pixels) in inner.pixels.chunks_exact(row).enumerate() {
            let at = ((top as usize + y) * width as usize + left as usize) * 3;
            ground[at..at + row].copy_from_slice(pixels);
        }
        self.ground = ground;
        Ok(Rendered { pixels: &mut self.ground, width, height })
    }
}

struct Rendered<'a> {
    pixels: &'a [u8],
    width: u32,
    height: u32,
}

impl Rendered<'_> {
    /// 4:2:0, with each chroma sample the mean of its four pixels, and N. Robidoux's quantisation
    /// tables (mozjpeg's default too): 11 % fewer bytes than the standard's at a higher PSNR.
    fn encode(&self, quality: u8) -> Result<Jpeg, PictureError> {
        let side = |length: u32| u16::try_from(length).map_err(damaged);
        let mut data = Vec::new();
        let mut encoder = Encoder::new(&mut data, quality);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
        let tables = QuantizationTableType::ImageMagick;
        encoder.set_quantization_tables(tables.clone(), tables);
        encoder
            .encode(self.pixels, side(self.width)?, side(self.height)?, ColorType::Rgb)
            .map_err(damaged)?;
        Ok(Jpeg { data, width: self.width, height: self.height })
    }
}

/// Turns and mirrors pixels of `width` × `height` as an Exif orientation asks.
fn turn(stored: &[u8], width: u32, height: u32, orientation: u8, seen: &mut [u8]) {
    /// Both the rows read and the columns written of one tile stay in the cache.
    const TILE: usize = 32;
    let (width, height) = (width as usize, height as usize);
    let (stored, seen) = (stored.as_chunks::<3>().0, seen.as_chunks_mut::<3>().0);
    let (seen_width, seen_height) =
        if orientation >= 5 { (height, width) } else { (width, height) };
    for top in (0..seen_height).step_by(TILE) {
        for left in (0..seen_width).step_by(TILE) {
            for y in top..seen_height.min(top + TILE) {
                for x in left..seen_width.min(left + TILE) {
                    let (from_x, from_y) = match orientation {
                        2 => (width - 1 - x, y),
                        3 => (width - 1 - x, height - 1 - y),
                        4 => (x, height - 1 - y),
                        5 => (y, x),
                        6 => (y, height - 1 - x),
                        7 => (width - 1 - y, height - 1 - x),
                        8 => (width - 1 - y, x),
                        _ => (x, y),
                    };
                    seen[y * seen_width + x] = stored[from_y * width + from_x];
                }
            }
        }
    }
}
