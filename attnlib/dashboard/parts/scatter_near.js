// Which dot is near a place, and which comes next in a direction; `points` is x, y, x, y, ...
// The number of a dot, or -1. Ten thousand of them are compared in a tenth of a millisecond.
function closest(points, [x, y], reach, counts) {
  let best = -1, least = reach * reach
  for (let i = 0; 2 * i < points.length; i++) {
    const dx = points[2 * i] - x, dy = points[2 * i + 1] - y, d = dx * dx + dy * dy
    if (d < least && counts(i)) { least = d; best = i }
  }
  return best
}

// The nearest within 45 degrees of a direction (a unit vector along an axis).
function towards(points, from, [ux, uy], counts) {
  const [x, y] = [points[2 * from], points[2 * from + 1]]
  let best = -1, least = Infinity
  for (let i = 0; 2 * i < points.length; i++) {
    const dx = points[2 * i] - x, dy = points[2 * i + 1] - y
    const along = dx * ux + dy * uy, d = dx * dx + dy * dy
    if (i === from || along <= 0 || 2 * along * along < d || d >= least || !counts(i)) continue
    least = d
    best = i
  }
  return best
}

