//! The decoder process for users of the library, and for its tests (see `zoetrope_media::child`).

fn main() -> std::io::Result<()> {
    zoetrope_media::child::serve(std::io::stdin().lock(), std::io::stdout().lock())
}
