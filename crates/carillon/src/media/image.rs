//! Pictures: from what people upload to the JPEGs that networks take.
//!
//! A picture is decoded once, within `Limits` checked against its header, to eight bits of red,
//! green and blue in the sRGB space; each output is cut and scaled from those pixels, turned the
//! way its Exif orientation says, and encoded with nothing but pixels inside: no Exif, place,
//! profile or other metadata survives. Everything runs on the caller's thread and takes a tenth of
//! a second for twelve megapixels: callers keep it off the threads that serve requests.
//! `decode` reads the formats, `colour` brings wide colours to sRGB, `probe` reads the headers.

mod colour;
mod decode;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use carillon_networks::spec::Derivative;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{
    ChromaSubsamplingMethod, ColorType, Encoder, QuantizationTableType, SamplingFactor,
};

use super::probe::{Header, Kind, damaged};
use crate::domain::frame::{Fit, Frame};

/// The renditions made of every picture, with their width and height.
pub const DERIVATIVES: [(Derivative, u32, u32); 3] = [
    (Derivative::Square, 1080, 1350),
    (Derivative::Story, 1080, 1920),
    (Derivative::Landscape, 1920, 1080),
];

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
    pub(super) fn admit(&self, header: &Header) -> Result<(), PictureError> {
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
    /// Every derivative: the largest part of the picture around its focus with the right shape, scaled,
    /// or all of it on a ground of its own colours. Small pictures are enlarged, because networks ask
    /// for these sizes.
    pub fn derivatives(&self, frame: Frame) -> Result<Vec<(Derivative, Jpeg)>, PictureError> {
        let mut renderer = Renderer::default();
        let mut order = DERIVATIVES;
        // The one that needs the largest buffer between its passes first: the others reuse it.
        order.sort_by_key(|&(_, width, height)| Reverse(self.between_passes(width, height)));
        let mut made = Vec::with_capacity(order.len());
        for (derivative, width, height) in order {
            let rendered = match frame.fit {
                Fit::Crop => renderer.render(self, Part::Around(frame), width, height)?,
                Fit::Pad => renderer.pad(self, width, height)?,
            };
            made.push((derivative, rendered.encode(QUALITY)?));
        }
        made.sort_by_key(|(derivative, _)| *derivative);
        Ok(made)
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
    fn around(&self, frame: Frame, shape: (u32, u32)) -> (f64, f64) {
        let part = |percent: i64| percent.clamp(0, 100) as f64 / 100.0;
        let (x, y) = (part(frame.focus_x), part(frame.focus_y));
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
    Around(Frame),
}

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
        let rgb = PixelType::U8x3;
        let source =
            ImageRef::new(picture.width, picture.height, &picture.pixels, rgb).map_err(damaged)?;
        let (stored_width, stored_height) = picture.turned(width, height);
        let length = width as usize * height as usize * 3;
        self.scaled.resize(length.max(self.scaled.len()), 0);
        let scaled = &mut self.scaled[..length];
        let mut target =
            Image::from_slice_u8(stored_width, stored_height, scaled, rgb).map_err(damaged)?;
        let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
        let options = ResizeOptions::new().resize_alg(lanczos).use_alpha(false);
        let options = match part {
            Part::Whole => options,
            Part::Around(frame) => {
                let slack = picture.around(frame, (stored_width, stored_height));
                options.fit_into_destination(Some(slack))
            }
        };
        self.resizer.resize(&source, &mut target, &options).map_err(damaged)?;
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
        let rgb = PixelType::U8x3;
        let (low_width, low_height) = (width.div_ceil(BLUR), height.div_ceil(BLUR));
        let centre = Part::Around(Frame::default());
        let low = self.render(picture, centre, low_width, low_height)?.pixels.to_vec();
        let low = ImageRef::new(low_width, low_height, &low, rgb).map_err(damaged)?;
        let mut ground = std::mem::take(&mut self.ground);
        ground.resize(width as usize * height as usize * 3, 0);
        let mut target = Image::from_slice_u8(width, height, &mut ground, rgb).map_err(damaged)?;
        let smooth = ResizeAlg::Convolution(FilterType::Gaussian);
        let options = ResizeOptions::new().resize_alg(smooth).use_alpha(false);
        self.resizer.resize(&low, &mut target, &options).map_err(damaged)?;

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
