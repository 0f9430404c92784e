// Shows a merchant's colours as its pages will, by the rules of flint/colours.py and payments/checkout/theme.py.

const INK = "#16191d"
const isColour = text => /^#[0-9a-f]{6}$/i.test(text)

function luminance(colour) {
  const [red, green, blue] = [1, 3, 5]
    .map(start => parseInt(colour.slice(start, start + 2), 16) / 255)
    .map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(one, other) {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

function show(preview) {
  const chosen = name => document.querySelector(`[data-colour="${name}"]`)?.value.trim() ?? ""
  const [main, accent] = [chosen("primary_color"), chosen("accent_color")]
  const primary = [main, accent].find(isColour)
  if (!primary) return
  const marks = isColour(accent) ? accent : primary
  const text = contrast(primary, "#ffffff") >= contrast(primary, "#000000") ? "#ffffff" : "#000000"
  const visible = colour => (contrast(colour, "#ffffff") >= 3 ? colour : INK)
  const button = preview.querySelector(".fl-preview-button")
  Object.assign(button.style, { background: primary, color: text, borderColor: visible(primary) })
  preview.querySelector(".fl-preview-line").style.borderColor = visible(marks)
  const pale = [primary, marks].filter(colour => visible(colour) !== colour)
  const words = `Text on the main colour has a contrast of ${contrast(primary, text).toFixed(1)} to 1.`
  preview.querySelector("[data-preview-words]").textContent = pale.length
    ? `${words} ${[...new Set(pale)].join(" and ")} cannot be seen on white, so lines of it are drawn dark.`
    : words
}

for (const preview of document.querySelectorAll("[data-preview]")) {
  document.addEventListener("input", event => {
    const { colour, palette } = event.target.dataset
    if (palette) document.querySelector(`[data-colour="${palette}"]`).value = event.target.value
    if (colour && isColour(event.target.value)) document.querySelector(`[data-palette="${colour}"]`).value = event.target.value
    show(preview)
  })
  show(preview)
}
