use super::*;
#[test]
fn seeds() {
    let mut names: Vec<_> = std::fs::read_dir("/tmp/media-scratch/seeds")
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| !n.contains(".raw"))
        .collect();
    names.sort();
    for n in names {
        let b = std::fs::read(format!("/tmp/media-scratch/seeds/{n}")).unwrap();
        let raw = std::fs::read(format!("/tmp/media-scratch/seeds/{n}.raw")).unwrap();
        let t = std::fs::read_to_string(format!("/tmp/media-scratch/seeds/{n}.raw.txt")).unwrap();
        let d: Vec<usize> = t.split(' ').map(|v| v.parse().unwrap()).collect();
        let p = crate::media::probe::probe(&b);
        match Picture::decode(&b, &Limits::default()) {
            Err(e) => println!("{n}: ERR {e}"),
            Ok(pic) => {
                let mut r = Renderer::default();
                let (w, h) = pic.turned(pic.width, pic.height);
                let colour = pic.colour.is_some();
                let got = r.render(&pic, w, h).unwrap();
                let want: Vec<u8> = if d[2] == 1 {
                    raw.iter().flat_map(|v| [*v; 3]).collect()
                } else {
                    raw.clone()
                };
                if (w as usize, h as usize) != (d[0], d[1]) {
                    println!("{n}: size {w}x{h} {d:?}");
                    continue;
                }
                if want.len() != got.pixels.len() {
                    println!("{n}: len {} {} {d:?}", want.len(), got.pixels.len());
                    continue;
                }
                let max = want.iter().zip(got.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                let mean =
                    want.iter().zip(got.pixels).map(|(a, b)| a.abs_diff(*b) as f64).sum::<f64>()
                        / want.len() as f64;
                println!("{n}: max {max} mean {mean:.3} colour {colour} {p:?}");
            }
        }
    }
}
