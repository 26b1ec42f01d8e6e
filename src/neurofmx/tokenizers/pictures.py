"""Windows that hold pictures, put in the shape of pictures: one image, or the frames of a video."""

from __future__ import annotations

from torch import Tensor

from neurofmx.tokenizers.tokens import Layout, Sample


def picture_layout(layout: Layout, *, colours: int = 1, still: bool = False) -> Layout:
    """The layout with one sample a picture: shape (frames, rows, columns, colours), rate and patch in frames.

    Args:
        layout: Of the windows: with a `grid` their rows stand one after the other; without one the shape is (frames,
            rows, columns) or (frames, rows, columns, colours).
        colours: Colours of a column that stand side by side, where there is no grid to tell.
        still: A window without a grid is one image: (rows, columns) or (rows, columns, colours).

    Raises:
        ValueError: If this is no shape of pictures, or a token would hold a part of one.
    """
    if layout.grid:
        frames, patch = layout.shape[0] // layout.grid[0], max(1, layout.patch // layout.grid[0])
        if layout.patch > layout.grid[0] and layout.patch % layout.grid[0]:
            raise ValueError(f"patch={layout.patch}: must be a multiple of the {layout.grid[0]} rows of a picture")
        shape = (frames, *layout.grid)
        layout = layout._replace(rate=layout.rate / layout.grid[0], patch=patch)
    else:
        shape = (1, *layout.shape) if still else layout.shape
        if still:  # a row is no moment: the image is all of the window
            layout = layout._replace(rate=layout.rate / layout.shape[0], patch=1)
    if len(shape) == 3 and shape[2] % colours == 0:
        shape = (*shape[:2], shape[2] // colours, colours)
    if len(shape) != 4:
        raise ValueError(
            f"pictures are (rows, columns) or (rows, columns, colours), found windows of {layout.shape} with grid "
            f"{layout.grid} and colours={colours}, which must divide a row"
        )
    return layout._replace(shape=shape, grid=())


def as_pictures(sample: Sample, layout: Layout, pictures: Layout) -> Sample:
    """The windows with one sample a picture: x (B, frames, rows, columns, colours), 0 where nothing was recorded.

    Args:
        sample: Windows of `layout`, with any number of frames.
        layout: Of the windows.
        pictures: What `picture_layout` made of it.
    """
    rows = layout.shape[0] // pictures.shape[0]
    length = None if sample.length is None else -(-sample.length // rows)
    x = _apart(sample.cleared(), pictures)
    return Sample(x, length=length, recording=sample.recording, beside=sample.beside)


def _apart(x: Tensor, pictures: Layout) -> Tensor:
    """Samples of windows (B, frames, rows, columns, colours)."""
    return x.reshape(len(x), -1, *pictures.shape[1:])
