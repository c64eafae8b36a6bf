"""The layout, of which nothing is kept."""


class Spatial3DView:
    def __init__(self, *, origin, name):
        pass


class TimeSeriesView(Spatial3DView):
    pass


class Vertical:
    def __init__(self, *contents, row_shares):
        pass


class Blueprint:
    def __init__(self, *parts, collapse_panels):
        pass
