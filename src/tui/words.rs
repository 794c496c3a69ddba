//! Every string of the interface, in every language: one table.
//!
//! Kubernetes' own words (kinds, phases, reasons) stay as they are, since people meet them in kubectl and search for them.

use std::fmt::Display;

pub use crate::lessons::Language as Lang;

macro_rules! words {
    ($($name:ident: $en:literal, $tw:literal, $cn:literal;)*) => {
        /// A string of the interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word { $(#[doc = $en] $name,)* }

        impl Word {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The string in a language.
            pub fn text(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::English) => $en,
                    (Self::$name, Lang::TraditionalChinese) => $tw,
                    (Self::$name, Lang::SimplifiedChinese) => $cn,)*
                }
            }
        }
    };
}

impl Word {
    /// The word as a label before something, with the language's own colon.
    pub fn before(self, lang: Lang, what: impl Display) -> String {
        let colon = if lang == Lang::English { ": " } else { "：" };
        format!("{}{colon}{what}", self.text(lang))
    }
}

words! {
    // Panes and views
    Shell: "Shell", "終端機", "终端";
    RuntimeSim: "simulated containers", "模擬的容器", "模拟的容器";
    RuntimeContainerd: "real containers: containerd", "真的容器：containerd", "真实容器：containerd";
    Lesson: "Lesson", "課程", "课程";
    Map: "Map", "地圖", "地图";
    Flow: "Flow", "流程", "流程";
    Tree: "Objects", "物件", "对象";
    Events: "Events", "事件", "事件";
    Logs: "Logs", "日誌", "日志";
    Yaml: "YAML", "YAML", "YAML";
    Keys: "Store", "儲存", "存储";
    Scheduling: "Scheduling", "排程", "调度";
    // The views where there is little room
    MapShort: "Map", "圖", "图";
    FlowShort: "Flow", "流", "流";
    TreeShort: "Obj", "物", "对";
    EventsShort: "Ev", "事", "事";
    LogsShort: "Log", "誌", "志";
    KeysShort: "Keys", "存", "存";
    SchedulingShort: "Sched", "排", "调";
    // Keys
    KeyHelp: "Help", "說明", "帮助";
    KeyNextView: "View", "檢視", "视图";
    KeyPreviousView: "Previous view", "上個檢視", "上个视图";
    KeyView: "Choose a view", "選擇檢視", "选择视图";
    KeyViews: "Views", "開關", "开关";
    KeyBeside: "Layout", "版面", "布局";
    KeyZoom: "Zoom", "放大", "放大";
    KeyPane: "Pane", "窗格", "窗格";
    KeyHint: "Hint", "提示", "提示";
    KeyNext: "Next", "下一步", "下一步";
    KeyCourse: "Course", "課程表", "课程表";
    KeyQuit: "Quit", "離開", "退出";
    KeyResizePanes: "Resize panes", "調整窗格", "调整窗格";
    KeyScrollShell: "Scroll the shell", "捲動終端機", "滚动终端";
    KeyMove: "Move", "移動", "移动";
    KeyPage: "Page", "翻頁", "翻页";
    KeyEnds: "First/last", "最前/最後", "最前/最后";
    KeyOpen: "YAML", "YAML", "YAML";
    KeyPause: "Pause", "暫停", "暂停";
    KeySystem: "System", "系統", "系统";
    KeyHeartbeats: "All writes", "全部", "全部";
    KeyOlder: "Older", "較舊", "较旧";
    KeyNewer: "Newer", "較新", "较新";
    KeyManaged: "managedFields", "managedFields", "managedFields";
    KeyBack: "Shell", "終端機", "终端";
    KeyReset: "Start over", "重新開始", "重新开始";
    KeySkip: "Skip", "略過", "跳过";
    KeyAnswer: "Answer", "作答", "作答";
    KeyChoose: "Choose", "選擇", "选择";
    KeyClose: "Close", "關閉", "关闭";
    // Help
    HelpTitle: "Keys", "按鍵", "按键";
    HelpEverywhere: "Everywhere", "任何地方", "任何地方";
    HelpInViews: "In a view", "在檢視中", "在视图中";
    HelpInText: "In the lesson", "在課程中", "在课程中";
    HelpInShell: "At the prompt", "在提示字元", "在提示符处";
    HelpMouse: "Mouse: click a pane or a view's name, drag a border, turn the wheel. Hold Shift to select text.", "滑鼠：點選窗格或檢視名稱，拖曳邊界，滾動滾輪。按住 Shift 可選取文字。", "鼠标：点击窗格或视图名称，拖动边界，滚动滚轮。按住 Shift 可选取文字。";
    EditTab: "Complete commands, kinds and names", "補全指令、種類與名稱", "补全命令、种类与名称";
    EditHistory: "Earlier lines", "先前的指令", "先前的命令";
    EditSearch: "Search earlier lines", "搜尋先前的指令", "搜索先前的命令";
    EditHint: "Take the grey hint", "採用灰色建議", "采用灰色建议";
    EditWords: "Move by words", "逐字移動", "按词移动";
    EditKill: "Delete to the end, to the start, a word", "刪到行尾、行首、一個字", "删到行尾、行首、一个词";
    EditInterrupt: "Stop the command, or drop the line", "停止指令，或清除這一行", "停止命令，或清除这一行";
    EditClear: "Clear the screen", "清除畫面", "清屏";
    // Frames and notes
    TooSmall: "Make the window larger", "請放大視窗", "请放大窗口";
    QuitAsk: "Leave? The cluster ends with it. Enter: leave   Esc: stay", "要離開嗎？叢集會跟著結束。Enter：離開   Esc：留下", "要退出吗？集群会随之结束。Enter：退出   Esc：留下";
    ResetAsk: "Start this lesson over? What you did in it is forgotten. Enter: start over   Esc: go on", "要重新開始這一課嗎？這一課做過的都會忘記。Enter：重新開始   Esc：繼續", "要重新开始这一课吗？这一课做过的都会忘记。Enter：重新开始   Esc：继续";
    Running: "running: Ctrl-C stops it", "執行中：Ctrl-C 停止", "运行中：Ctrl-C 停止";
    Scrolled: "scrolled back", "已向上捲動", "已向上滚动";
    Paused: "paused", "已暫停", "已暂停";
    PasteTooLong: "The paste is too long for one line of the prompt: put it into a file.", "貼上的內容太長，無法放進一行指令：請放進檔案。", "粘贴的内容太长，放不进一行命令：请放进文件。";
    InputFull: "The command does not read what is typed; it was dropped.", "指令沒有讀取輸入，已捨棄。", "命令没有读取输入，已丢弃。";
    Problem: "This does not work", "這行不通", "这行不通";
    Trouble: "Something broke inside", "程式內部發生錯誤", "程序内部出错";
    WideTable: "Wide table: F6, then ← →", "表格較寬：F6 後按 ← →", "表格较宽：F6 后按 ← →";
    KeySideways: "Move wide tables", "左右移動寬表格", "左右移动宽表格";
    MoreRows: "↓ # more", "↓ 還有 # 行", "↓ 还有 # 行";
    Welcome: "A Kubernetes cluster is running in this process. Try: kubectl get nodes", "這個程式裡正執行著一個 Kubernetes 叢集。試試：kubectl get nodes", "这个程序里正运行着一个 Kubernetes 集群。试试：kubectl get nodes";
    // Views
    NoNodes: "There are no nodes.", "沒有節點。", "没有节点。";
    NoPods: "no pods", "沒有 Pod", "没有 Pod";
    Waiting: "Waiting for a node", "等待節點", "等待节点";
    LegendReady: "ready", "就緒", "就绪";
    LegendStarting: "starting", "啟動中", "启动中";
    LegendWaiting: "no node yet", "尚無節點", "尚无节点";
    LegendFailing: "failing", "失敗", "失败";
    LegendDone: "done", "完成", "完成";
    LegendEnding: "ending", "結束中", "结束中";
    Cordoned: "cordoned", "已停止排程", "已停止调度";
    NotReady: "NotReady", "NotReady", "NotReady";
    NothingYet: "Nothing yet.", "還沒有任何東西。", "还没有任何东西。";
    NoObjects: "There are no objects of yours yet. Try: kubectl create deployment web --image=nginx", "你還沒有物件。試試：kubectl create deployment web --image=nginx", "你还没有对象。试试：kubectl create deployment web --image=nginx";
    NoSubject: "No object is chosen. Pick one in the map, the objects or the store and press Enter.", "尚未選擇物件。請在地圖、物件或儲存中選一個並按 Enter。", "尚未选择对象。请在地图、对象或存储中选一个并按 Enter。";
    NoDecisions: "The scheduler has not placed a pod yet.", "排程器還沒有安排任何 Pod。", "调度器还没有安排任何 Pod。";
    NoLogs: "No container of yours writes logs yet.", "還沒有容器寫出日誌。", "还没有容器写出日志。";
    Gone: "gone", "已刪除", "已删除";
    Revision: "revision", "版本", "版本";
    Of: "of", "/", "/";
    ByWhom: "by", "由", "由";
    BecauseOf: "because of", "起因", "起因";
    LedTo: "led to", "引發", "引发";
    Wrote: "wrote", "寫入", "写入";
    WhoReacts: "who watches reacts", "監看者反應", "监听者反应";
    Created: "created", "建立", "创建";
    Changed: "changed", "變更", "更改";
    Deleted: "deleted", "刪除", "删除";
    Chosen: "chosen", "選中", "选中";
    NoNodeFits: "no node fits", "沒有合適的節點", "没有合适的节点";
    OnlyOneFits: "the only node that fits: nothing to score", "只有一個節點合適：不需評分", "只有一个节点合适：无需评分";
    Total: "total", "總分", "总分";
    Node: "node", "節點", "节点";
    Refused: "refused by", "遭拒於", "被拒于";
    Key: "key", "鍵", "键";
    Version: "version", "版次", "版次";
    Bytes: "bytes", "位元組", "字节";
    // Lessons
    Step: "Step", "步驟", "步骤";
    Goal: "Goals met", "已達成的目標", "已达成的目标";
    Hint: "Hint", "提示", "提示";
    Recognised: "Look", "注意", "注意";
    Debrief: "Why it worked", "為什麼成功", "为什么成功";
    Stuck: "Stuck", "卡住了", "卡住了";
    Note: "Note", "說明", "说明";
    Question: "Question", "問題", "问题";
    Right: "Right", "正確", "正确";
    Wrong: "Not so", "不對", "不对";
    StepDone: "Done. F8 goes on.", "完成。按 F8 繼續。", "完成。按 F8 继续。";
    LessonDone: "The lesson is done. F8 goes on, F9 shows the course.", "這一課完成了。按 F8 繼續，F9 看課程表。", "这一课完成了。按 F8 继续，F9 看课程表。";
    CourseTitle: "The course", "課程表", "课程表";
    CourseFree: "Free play: a cluster without a lesson", "自由操作：沒有課程的叢集", "自由操作：没有课程的集群";
    Minutes: "min", "分鐘", "分钟";
    Starting: "Starting", "啟動中", "启动中";
    Remember: "Remember", "記住", "记住";
    Mistakes: "Common mistakes", "常見錯誤", "常见错误";
    Equivalent: "The same in other words", "同樣的效果", "同样的效果";
    NoMoreHints: "There are no more hints.", "沒有更多提示了。", "没有更多提示了。";
    NotSolved: "This step is not done yet. F7 gives a hint; s in the lesson's pane skips it.", "這個步驟還沒完成。F7 給提示；在課程窗格按 s 可略過。", "这个步骤还没完成。F7 给提示；在课程窗格按 s 可跳过。";
    NotKept: "Progress cannot be kept", "無法保存進度", "无法保存进度";
    YourProgress: "Your progress", "你的進度", "你的进度";
    ProgressDamaged: "The file of your progress was damaged. It is kept as", "你的進度檔損壞了，已另存為", "你的进度文件已损坏，已另存为";
    ProgressSaved: "Lessons that could be read and are used", "仍可讀取並沿用的課程數", "仍可读取并沿用的课程数";
    NextLesson: "The next lesson", "下一課", "下一课";
    CourseDone: "This was the last lesson of the course.", "這是課程的最後一課。", "这是课程的最后一课。";
    Predicted: "You expected", "你的預測", "你的预测";
    PredictionRight: "And so it was.", "預測正確。", "预测正确。";
    PredictionWrong: "It came otherwise.", "結果並非如此。", "结果并非如此。";
    StuckReset: "Press r in the lesson's pane to start the lesson over.", "在課程窗格按 r 重新開始這一課。", "在课程窗格按 r 重新开始这一课。";
    CourseKeys: "↑↓ choose   Enter play   l language   Esc back", "↑↓ 選擇   Enter 開始   l 語言   Esc 返回", "↑↓ 选择   Enter 开始   l 语言   Esc 返回";
    ChooseNumber: "Press the number of your choice, or ↑ ↓ and Enter.", "請按選項的數字，或用 ↑ ↓ 選好後按 Enter。", "请按选项的数字，或用 ↑ ↓ 选好后按 Enter。";
    TypeAnswer: "Type the answer, then Enter", "輸入答案後按 Enter", "输入答案后按 Enter";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_in_every_language() {
        for word in Word::ALL {
            for lang in Lang::ALL {
                assert!(!word.text(lang).trim().is_empty(), "{word:?} in {lang:?}");
            }
        }
    }
}
