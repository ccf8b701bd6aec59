// What the page says, in the languages that it speaks.

const english = {
  skip: "Skip to the picture",
  help: "Help", theme: "Light or dark", picture: "Picture", view: "View", zoom: "Zoom", zoomIn: "Zoom in", zoomOut: "Zoom out",
  fit: "Fit the picture", compare: "Before and after", pictures: "Pictures", add: "Add pictures", tool: "Tool",
  drop: "Drop pictures here, or paste one", choose: "Choose pictures", camera: "Take a photo", examples: "Or try one of these",
  formats: (names, side, megabytes) => `${names}; up to ${side} pixels a side and ${megabytes} MB. Pictures stay on this server's machine and are not kept.`,
  cancel: "Cancel", waiting: "Waiting", sending: "Sending", labelling: "Labelling every pixel",
  about: (seconds) => `about ${seconds} s`, busy: (seconds) => `The service is busy; trying again in ${seconds} s`,
  opacity: "Opacity", classes: "Classes", showAll: "Show all", hide: (name) => `Show ${name}`, solo: (name) => `Show only ${name}`,
  absent: (count) => `${count} more classes do not occur`,
  overlay: "Overlay", mask: "Mask", confidence: "Confidence", entropy: "Entropy", slider: "Before / after",
  sure: (percent) => `${percent} % sure`, doubt: (percent) => `entropy ${percent} %`,
  correct: "Correct", look: "Look", brush: "Brush", eraser: "Eraser", fill: "Fill", size: "Size", undo: "Undo", redo: "Redo", save: "Save correction",
  paints: (name) => `Paints ${name}. Click a class to change.`, collected: (count, folder) => `${count} saved in ${folder}`,
  saved: "Saved", download: "Download", close: "Close",
  facts: (width, height, seconds) => `${width} × ${height} pixels, ${seconds} s`,
  said: (name, list) => `${name}: ${list}`, failed: "This picture was not labelled",
  unreadable: "This browser cannot show this file; try JPEG or PNG",
  offline: "The service does not answer; is it still running?",
  differs: "The service sees this picture in another size than the browser",
  loading: "The model is being loaded", token: "This service wants a token:",
  aboutModel: "About the model", keys: "Keys",
  modelFacts: { architecture: "Network", stride: "Stride", parameters: "Parameters", trained_on: "Trained on", mean_iou: "Mean IU", licence: "Licence", limits_of_use: "Limits" },
  keyList: [
    ["+ − 0", "zoom in, out, fit"], ["arrow keys", "move the picture"], ["1 – 5", "views"], ["space", "hold to see the picture alone"],
    ["page up, page down", "other pictures"], ["[ ]", "smaller, larger brush"], ["Ctrl Z, Ctrl Y", "undo, redo"],
  ],
  other: "中文", otherName: "切换到中文",
};

const chinese = {
  skip: "跳到图片",
  help: "帮助", theme: "浅色或深色", picture: "图片", view: "视图", zoom: "缩放", zoomIn: "放大", zoomOut: "缩小",
  fit: "适合窗口", compare: "前后对比", pictures: "图片列表", add: "添加图片", tool: "工具",
  drop: "把图片拖到这里，或直接粘贴", choose: "选择图片", camera: "拍照", examples: "或试试这些示例",
  formats: (names, side, megabytes) => `支持 ${names}；边长不超过 ${side} 像素，大小不超过 ${megabytes} MB。图片只送到本服务所在的机器，不会保留。`,
  cancel: "取消", waiting: "排队中", sending: "上传中", labelling: "正在标注每个像素",
  about: (seconds) => `大约 ${seconds} 秒`, busy: (seconds) => `服务繁忙，${seconds} 秒后重试`,
  opacity: "不透明度", classes: "类别", showAll: "全部显示", hide: (name) => `显示 ${name}`, solo: (name) => `只看 ${name}`,
  absent: (count) => `另有 ${count} 个类别未出现`,
  overlay: "叠加", mask: "掩码", confidence: "置信度", entropy: "熵", slider: "前后对比",
  sure: (percent) => `置信度 ${percent}%`, doubt: (percent) => `熵 ${percent}%`,
  correct: "修正", look: "查看", brush: "画笔", eraser: "橡皮", fill: "填充", size: "大小", undo: "撤销", redo: "重做", save: "保存修正",
  paints: (name) => `当前涂成“${name}”，点击类别可更换。`, collected: (count, folder) => `${folder} 中已保存 ${count} 张`,
  saved: "已保存", download: "下载", close: "关闭",
  facts: (width, height, seconds) => `${width} × ${height} 像素，用时 ${seconds} 秒`,
  said: (name, list) => `${name}：${list}`, failed: "这张图片没有标注成功",
  unreadable: "浏览器无法显示该文件，请用 JPEG 或 PNG",
  offline: "服务没有回应，它还在运行吗？",
  differs: "服务看到的图片尺寸与浏览器不同",
  loading: "正在加载模型", token: "本服务需要令牌：",
  aboutModel: "关于模型", keys: "快捷键",
  modelFacts: { architecture: "网络", stride: "步幅", parameters: "参数量", trained_on: "训练数据", mean_iou: "平均 IU", licence: "许可", limits_of_use: "适用范围" },
  keyList: [
    ["+ − 0", "放大、缩小、适合窗口"], ["方向键", "移动图片"], ["1 – 5", "切换视图"], ["空格", "按住只看原图"],
    ["PageUp / PageDown", "上一张、下一张"], ["[ ]", "缩小、放大画笔"], ["Ctrl Z、Ctrl Y", "撤销、重做"],
  ],
  other: "EN", otherName: "Switch to English",
};

const kept = localStorage.getItem("language");
let chosen = kept ?? (navigator.language.startsWith("zh") ? "zh" : "en");

export const words = () => (chosen === "zh" ? chinese : english);

export function otherLanguage() {
  chosen = chosen === "zh" ? "en" : "zh";
  localStorage.setItem("language", chosen);
}

// Writes the words into the elements that ask for them.
export function translate() {
  const known = words();
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = known[element.dataset.word];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", known[element.dataset.label]);
    if (element.tagName === "BUTTON") element.title = known[element.dataset.label];
  }
  const button = document.getElementById("language");
  button.textContent = known.other;
  button.title = known.otherName;
  button.setAttribute("aria-label", known.otherName);
  button.lang = chosen === "zh" ? "en" : "zh-CN";
}
