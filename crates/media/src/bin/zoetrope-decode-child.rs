//! A decoder process for users of the library and for its tests (see `zoetrope_media::decoder_process`).

fn main() -> std::io::Result<()> {
    zoetrope_media::decoder_process::run(std::io::stdin().lock(), std::io::stdout().lock())
}
