// What the page says, in the languages that it speaks.

const english = {
  skip: "Skip to the picture",
  help: "Keys and help", theme: "Light or dark", picture: "Picture", view: "View", zoom: "Zoom", zoomIn: "Zoom in", zoomOut: "Zoom out", panel: "Classes, corrections and downloads",
  fit: "Fit the picture", compare: "Before and after", pictures: "Pictures", add: "Add pictures", tool: "Tool", progress: "Progress",
  lead: "What is every pixel?", knows: (name, count) => `${name} tells ${count} classes apart:`,
  drop: "Drop pictures here, paste one, or", choose: "Choose pictures", camera: "Take a photo", examples: "Or try one of these", startWatch: "Correct the most useful picture",
  formats: (names, side, megabytes) => `${names}; up to ${side} pixels a side and ${megabytes} MB. Pictures go to this service alone.`,
  cancel: "Cancel", again: "Try again", remove: (name) => `Remove ${name}`,
  waiting: "Waiting its turn", sending: "Sending", labelling: "Labelling every pixel", failedShort: "not labelled",
  about: (seconds) => `about ${seconds} s`, busy: (seconds) => `The service is busy; trying again in ${seconds} s`,
  opacity: "Opacity", classes: "Classes", showAll: "Show all", hide: (name) => `Show ${name}`, solo: (name) => `Show only ${name}`,
  absent: (count) => `${count} more ${count === 1 ? "class does" : "classes do"} not occur`, void: "void",
  overlay: "Overlay", mask: "Mask", confidence: "Confidence", entropy: "Entropy", slider: "Compare",
  sureEnd: "sure", unsureEnd: "unsure", sure: (percent) => `${percent} % sure`, doubt: (percent) => `entropy ${percent} %`, own: "corrected",
  correct: "Correct", look: "Look", brush: "Brush", eraser: "Eraser", fill: "Fill", size: "Size", undo: "Undo", redo: "Redo", save: "Save for training",
  hints: {
    look: () => "Choose a tool to correct what is wrong.",
    brush: (name) => `Paints ${name}; choose another class above.`,
    eraser: () => "Brings back what the model said.",
    fill: (name) => `Turns a region into ${name}; choose another class above.`,
  },
  paints: (name) => `Paint ${name}`, collected: (count, folder, val) => `${count} ${count === 1 ? "picture" : "pictures"} in ${folder}${val ? `, ${val} for validation` : ""}.`,
  notCollecting: "Download the mask to keep it; a service started with --collect saves it for training.",
  saved: "Saved", savedIn: (folder, isVal) => `Saved in ${folder}${isVal ? ", for validation" : ""}`, saveOffline: "Not saved: the service does not answer. Your corrections are still here; save again.",
  next: "Next most useful picture", left: (count) => (count ? `${count} more to look at.` : "No more pictures to look at."), ranking: (done, all) => `Ranking pictures: ${done} of ${all}.`,
  download: "Download", close: "Close", go: "Go on",
  facts: (width, height, seconds) => `${width} × ${height} pixels, ${seconds} s`,
  said: (name, list) => `${name}: ${list}`, cancelled: "Cancelled",
  unreadable: "This browser cannot show this file; use JPEG, PNG or WebP",
  offline: "The service does not answer. Trying again…",
  differs: "The service sees this picture in another size than this browser; convert it to PNG",
  loading: "The model is being loaded", noModel: (reason) => `There is no model: ${reason}`, token: "This service wants a token",
  codes: {},
  aboutModel: "About the model", keys: "Keys",
  modelFacts: { classes: "Classes", architecture: "Network", stride: "Stride", parameters: "Parameters", engine: "Runs on", trained_on: "Trained on", mean_iou: "Mean IU", licence: "Licence", limits_of_use: "Limits" },
  keyList: [
    ["+ − 0", "zoom in, out, fit"], ["arrows", "move the picture"], ["Shift + arrows", "read class and confidence, place by place"], ["1 – 5", "views"], ["space", "hold to see the picture alone"],
    ["Page Up, Page Down", "other pictures"], ["Delete", "take the picture from the list"], ["V B E F", "look, brush, eraser, fill"], ["[ ]", "smaller, larger brush"], ["right button", "while painting: takes the class under it"], ["Enter", "paint at the place that is read"], ["Ctrl Z, Ctrl Y", "undo, redo"],
  ],
  other: "中文", otherName: "切换到中文",
};

const chinese = {
  skip: "跳到图片",
  help: "快捷键与帮助", theme: "浅色或深色", picture: "图片", view: "视图", zoom: "缩放", zoomIn: "放大", zoomOut: "缩小", panel: "类别、修正与下载",
  fit: "适合窗口", compare: "前后对比", pictures: "图片列表", add: "添加图片", tool: "工具", progress: "进度",
  lead: "每个像素是什么？", knows: (name, count) => `模型 ${name} 可区分 ${count} 个类别：`,
  drop: "把图片拖到这里、直接粘贴，或者", choose: "选择图片", camera: "拍照", examples: "或试试这些示例", startWatch: "修正最有价值的图片",
  formats: (names, side, megabytes) => `支持 ${names}；边长不超过 ${side} 像素，大小不超过 ${megabytes} MB。图片只会发送到本服务。`,
  cancel: "取消", again: "重试", remove: (name) => `移除 ${name}`,
  waiting: "排队中", sending: "上传中", labelling: "正在标注每个像素", failedShort: "未标注",
  about: (seconds) => `大约还需 ${seconds} 秒`, busy: (seconds) => `服务繁忙，${seconds} 秒后重试`,
  opacity: "不透明度", classes: "类别", showAll: "全部显示", hide: (name) => `显示 ${name}`, solo: (name) => `只看 ${name}`,
  absent: (count) => `另有 ${count} 个类别未出现`, void: "忽略",
  overlay: "叠加", mask: "掩码", confidence: "置信度", entropy: "熵", slider: "对比",
  sureEnd: "确定", unsureEnd: "不确定", sure: (percent) => `置信度 ${percent}%`, doubt: (percent) => `熵 ${percent}%`, own: "已修正",
  correct: "修正", look: "查看", brush: "画笔", eraser: "橡皮", fill: "填充", size: "大小", undo: "撤销", redo: "重做", save: "保存用于训练",
  hints: {
    look: () => "选择一个工具，修正标错的地方。",
    brush: (name) => `正在涂“${name}”，可在上方更换类别。`,
    eraser: () => "恢复模型原来的结果。",
    fill: (name) => `点击一块区域，将其变为“${name}”，可在上方更换类别。`,
  },
  paints: (name) => `涂成 ${name}`, collected: (count, folder, val) => `${folder} 中已有 ${count} 张${val ? `，其中 ${val} 张用于验证` : ""}。`,
  notCollecting: "可下载掩码保存；用 --collect 启动服务后可直接保存用于训练。",
  saved: "已保存", savedIn: (folder, isVal) => `已保存到 ${folder}${isVal ? "，用于验证" : ""}`, saveOffline: "未能保存：服务没有回应。修正仍在此页，请稍后再保存。",
  next: "下一张最有价值的图片", left: (count) => (count ? `还有 ${count} 张待看。` : "没有待看的图片了。"), ranking: (done, all) => `正在排序图片：${done} / ${all}。`,
  download: "下载", close: "关闭", go: "继续",
  facts: (width, height, seconds) => `${width} × ${height} 像素，用时 ${seconds} 秒`,
  said: (name, list) => `${name}：${list}`, cancelled: "已取消",
  unreadable: "浏览器无法显示该文件，请使用 JPEG、PNG 或 WebP",
  offline: "服务没有回应，正在重试……",
  differs: "服务看到的图片尺寸与浏览器不同，请转换为 PNG",
  loading: "正在加载模型", noModel: (reason) => `没有可用的模型：${reason}`, token: "本服务需要令牌",
  codes: {
    not_a_picture: "文件不是图片，或已损坏", unsupported_format: "不支持这种图片格式，请转换为 PNG 或 JPEG", too_large: "图片过大，请缩小后再试", slow_upload: "上传太慢，请用小一些的图片",
    deadline_passed: "处理超时，请稍后再试", out_of_memory: "服务内存不足，请稍后再试", storage_full: "未能保存：磁盘已满或不可写，请清理空间后再保存", internal: "服务出错，详情见其日志",
  },
  aboutModel: "关于模型", keys: "快捷键",
  modelFacts: { classes: "类别", architecture: "网络", stride: "步幅", parameters: "参数量", engine: "运行于", trained_on: "训练数据", mean_iou: "平均 IU", licence: "许可", limits_of_use: "适用范围" },
  keyList: [
    ["+ − 0", "放大、缩小、适合窗口"], ["方向键", "移动图片"], ["Shift + 方向键", "逐点读出类别与置信度"], ["1 – 5", "切换视图"], ["空格", "按住只看原图"],
    ["PageUp / PageDown", "上一张、下一张"], ["Delete", "从列表移除图片"], ["V B E F", "查看、画笔、橡皮、填充"], ["[ ]", "缩小、放大画笔"], ["鼠标右键", "涂抹时选取图中类别"], ["Enter", "在读取处涂抹"], ["Ctrl Z、Ctrl Y", "撤销、重做"],
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
