# ruff: noqa: E501, RUF001 - tables of cases, look-alike characters among them
r"""Golds by form, each with completions that are right and completions that are wrong; all made for this project.

Each form has at least 10 right and 20 wrong ones.
"""

PAIRS: dict[str, list[tuple[str, list[str], list[str]]]] = {
    "time": [
        ("2:30", ["2:30", "02:30", "The time is 2:30.", r"\boxed{2:30}", "2:30 a.m."], ["1:15", "2:03", "2:31", "3:20", "14:30", "2.5", "5/60", "2:30:15", "2/30"]),
        ("10:30 AM", ["10:30 am", "10:30 a.m.", "10:30AM", "10:30"], ["10:30 PM", "10:31 AM", "9:30 AM", "10:03 AM", "10.5", "22:30", "11:30 AM"]),
        ("2:30 PM", ["14:30", "2:30 pm", "2:30 p.m.", r"2:30 \text{ p.m.}"], ["2:30 AM", "2:30", "3:30 PM", "12:30 PM", "4:30"]),
        ("12:00", ["12:00", "noon", "12:00 PM"], ["24:00", "1:00", "0:00", "12:00 AM", "midnight", "6:00", "2:00"]),
        ("7:05", ["7:05", "07:05"], ["7:5", "7:50", "5:07", "8:05"]),
    ],
    "date": [
        ("January 2, 2024", ["Jan 2, 2024", "2 January 2024", "January 2nd, 2024", "2024-01-02", r"\text{January 2, 2024}", "2nd of January 2024"], ["February 1, 2024", "January 3, 2024", "January 2, 2023", "2024-02-01", "1/2/2024", "January 2", "2 February 2024", "January 20, 2024"]),
        ("2024-01-02", ["2024-1-2", "2024/01/02", "January 2, 2024"], ["2024-02-01", "2021", "2024-01-03", "2024", "2023-01-02", "-2", "02-01-2024"]),
        ("01/02/2024", ["1/2/2024", "01/02/2024", "1-2-2024"], ["1/4048", "02/01/2024", "01/02/2023", "1/2", "2024-01-02", "01/03/2024"]),
        ("25/12/2023", ["December 25, 2023", "12/25/2023", "2023-12-25"], ["26/12/2023", "25/12/2024", "December 24, 2023", "25/11/2023"]),
    ],
    "ratio": [
        ("3:2", ["6:4", r"\boxed{3:2}", r"\frac{3}{2}", "3/2", "3 to 2", "S = 3:2", "1.5:1"], ["2:3", "3:4", "3:02", "3", "5", "32", "3:2:1", "-3:2", "1:2", "3.2"]),
        ("11:21", ["V_1:V_2 = 11:21", "11 : 21"], ["21:11", "22:40", "11:22", "11.21", "12:21"]),
        ("1:2:3", ["2:4:6", "1:2:3"], ["1:3:2", "3:2:1", "1:2", "2:4:7", "1:2:4"]),
        ("0:5", ["0:5"], ["0:7", "5:0", "0:0", "0", "1:5"]),
    ],
    "range": [
        ("1-2", ["1-2", "1–2", "1 to 2", r"\boxed{1-2}"], ["-1", "2-1", "1-3", "1", "3", "1/2", "12", "1-2-3"]),
        ("10-15", ["10 - 15", "10 to 15", "10–15"], ["-5", "15-10", "10-16", "10", "25", "5", "1015"]),
        ("3-1", ["3-1", "3 - 1", "3–1"], ["2", "1-3", "3-2", "31", "4", "-2"]),
    ],
    "mixed number": [
        ("1 1/2", [r"1\frac{1}{2}", "1.5", "3/2", r"\frac{3}{2}", "one and a half", r"1\frac12"], ["11/2", "1/2", "1 1/3", "2 1/2", "1 2/1", "5.5", "-1 1/2", "1 1 / 2 1"]),
        ("31/2", ["15.5", r"15\frac{1}{2}", "15 1/2"], ["3 1/2", "31", "3.5", "31/20", r"3\frac{1}{2}", "13/2"]),
        (r"2\frac{3}{4}", ["2.75", "11/4", "2 3/4"], ["23/4", r"\frac{6}{4}", "2 4/3", r"3\frac{2}{4}", r"2\cdot\frac{3}{4}", "2 3/5", r"-2\frac{3}{4}"]),
    ],
    "set": [
        (r"\{1,2\}", ["2, 1", r"\{2,1\}", "{1, 2}", "1 and 2", r"\left\{1,2\right\}"], ["(1,2)", "[1,2]", r"\{1,3\}", r"\{1\}", r"\{1,2,3\}", r"\{\{1,2\}\}", "12", r"\{1,\{2\}\}"]),
        (r"\emptyset", [r"\varnothing", r"\{\}", r"\emptyset"], [r"\{\emptyset\}", r"\{0\}", "0", r"\{\{\}\}", r"\phi"]),
        (r"\{1,\{2,3\}\}", [r"\{1,\{3,2\}\}", r"\{\{2,3\},1\}"], [r"\{1,2,3\}", r"\{\{1,2\},3\}", r"\{1,\{2\},3\}", r"\{1,\{2,4\}\}"]),
        (r"\{\frac12,1\}", ["1, 0.5", r"\{1/2,1\}"], [r"\{1/2\}", r"\{2,1\}", r"\{-\frac12,1\}", "(0.5,1)"]),
    ],
    "tuple": [
        ("(1,2)", ["(1, 2)", r"\left(1,2\right)", "(x,y)=(1,2)", "(1.0,2)", r"(1,\;2)", "x=1, y=2"], ["(2,1)", "[1,2]", r"\{1,2\}", "(1,2,3)", "12", "(1,3)", "(-1,2)", "1/2", "(1 2)"]),
        ("(12,3)", ["(12, 3)", "x=12, y=3"], ["(1 2,3)", "(1,23)", "(123)", "(3,12)", "(1,2,3)", "12.3"]),
        (r"(\frac12,-3,0)", ["(0.5,-3,0)", r"(1/2, -3, 0)"], [r"(\frac12,3,0)", "(-3,0.5,0)", "(0.5,-3)", "[0.5,-3,0]", "(0.5,-3,1)", "{0.5,-3,0}"]),
    ],
    "interval": [
        ("[0,1)", [r"0\le x<1", r"x\in[0,1)", "[0, 1)", r"1 > x \ge 0"], ["(0,1)", "[0,1]", "(0,1]", "[0,2)", "[1,0)", "0<x<1", r"\{0,1\}", "[-0.1,1)"]),
        (r"(-\infty,2)\cup(3,\infty)", ["x<2 or x>3", r"(3,\infty)\cup(-\infty,2)", r"x<2 \text{ or } x>3", r"x\in(-\infty,2)\cup(3,\infty)"], [r"(-\infty,2]\cup(3,\infty)", "2<x<3", r"(-\infty,3)\cup(2,\infty)", r"(-\infty,2)", r"(2,\infty)\cup(3,\infty)", r"(-\infty,2)\cap(3,\infty)", "x<2 and x>3"]),
        (r"-2\le x\le 7", [r"x\in[-2,7]", "[-2,7]", r"7\ge x\ge -2"], [r"-2<x\le 7", "(-2,7)", r"-2\le y\le 7", r"2\le x\le 7", r"x\in[-7,2]", "[-2,8]"]),
        (r"\mathbb{R}", [r"(-\infty,\infty)", "all real numbers"], ["R^2", r"(0,\infty)", r"\mathbb{Z}", r"\mathbb{R}\setminus\{0\}"]),
        ("(0,1)", ["0<f(x)<1", "0<x<1"], ["[0,1]", "(0,2)", "(1,0)", "0.1"]),
    ],
    "matrix": [
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", [r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", r"\left[\begin{array}{cc}1&2\\3&4\end{array}\right]", r"\begin{pmatrix} 1 & \frac42 \\ 3 & 4 \end{pmatrix}", r"\boxed{\begin{pmatrix}1&2\\3&4\end{pmatrix}}", r"A = \begin{pmatrix}1&2\\3&4\end{pmatrix}"], [r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", r"\begin{pmatrix}1&2&3&4\end{pmatrix}", r"\begin{pmatrix}3&4\\1&2\end{pmatrix}", r"\begin{pmatrix}-1&2\\3&4\end{pmatrix}", "(1,2,3,4)", "-2", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"]),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", [r"\begin{bmatrix}1\\2\end{bmatrix}", r"\begin{pmatrix}1.0\\2\end{pmatrix}"], [r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}", r"\begin{pmatrix}1\\2\\0\end{pmatrix}", "12", r"\begin{pmatrix}1\\-2\end{pmatrix}", "1/2"]),
        (r"\begin{pmatrix}\frac12&0\\0&\frac12\end{pmatrix}", [r"\frac12\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\begin{pmatrix}0.5&0\\0&0.5\end{pmatrix}", r"\begin{pmatrix}1/2&0\\0&1/2\end{pmatrix}"], [r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", "1/2", r"2\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\begin{pmatrix}0&\frac12\\\frac12&0\end{pmatrix}", r"\begin{pmatrix}\frac12&0\\0&\frac13\end{pmatrix}", r"\frac12\begin{pmatrix}1&1\\0&1\end{pmatrix}"]),
    ],
    "unit": [
        ("10 cm", ["10 centimeters", r"10\text{ cm}", "10", "100 mm", "0.1 m", r"\boxed{10\,\mathrm{cm}}"], ["10 m", "10 cm^2", "100 cm", "1 cm", "10 seconds", "10 inches", "10 mm", "10 apples", "-10 cm"]),
        ("12", ["12 apples", "12 dollars", "The answer is 12 students.", r"12\text{ km/h}"], ["3 dozen", "12 thousand", "12 squared", "12 below zero", "12 quarters", "12 point five", "12 lakh", "half of 12"]),
        ("60 km/h", ["60 kilometers per hour", "60", "60 km per hour"], ["60 km", "60 m/s", "1 km/h", "60 mph", "60 h"]),
        ("2 hours", ["120 minutes", "2"], ["120", "2 minutes", "2 days", "20 hours"]),
    ],
    "money": [
        ("$5", ["5", r"\$5", "5 dollars", "$5.00", "500 cents", "5 USD"], ["500", "5 cents", "€5", "$50", "5 euros", "-$5", "$5.01", "£5", "$5 million"]),
        ("18", ["$18", "She makes $18.", "$18.00", r"\$18"], ["$180", "$1.8", "$18 thousand", "18%0"]),
        (r"\$15,000", ["15000", "$15,000", "15 thousand dollars", "15,000 dollars"], ["$15", "$1,500", "$15,00", "15,000 cents", "$150,000", "$15.000", "€15,000"]),
    ],
    "percent": [
        ("50%", ["50", "0.5", r"50\%", "50 percent", r"\frac12", "1/2", "fifty percent"], ["5%", "0.05", "500", "5000%", "0.5%", "50/50", "-50%", "51%", "5000"]),
        ("28", [r"28\%", "28 %"], ["0.28", "28000%", "2.8", "280%", "28%%1"]),
        ("0.25", ["25%", "1/4"], ["2.5%", "0.25%", "250%", "25/10", "4"]),
        ("12.5%", ["12.5", "0.125", "1/8"], ["1.25", "125", "12.6%", "1.25%", "0.0125"]),
    ],
    "angle": [
        (r"90^\circ", ["90", "90 degrees", r"\frac{\pi}{2}", "90°", r"\angle ABC = 90^\circ", r"\frac{\pi}{2}\text{ radians}"], [r"\pi", r"180^\circ", r"9^\circ", r"-90^\circ", "90 radians", r"\frac{\pi}{3}", "90 minutes", r"90^\circ C", "1.57", "90%"]),
        (r"\frac{\pi}{3}", [r"60^\circ", r"\pi/3", "60 degrees"], [r"30^\circ", r"\frac{\pi}{6}", "60", r"3\pi", r"\frac{2\pi}{3}", "1.05", r"-\frac{\pi}{3}"]),
        ("74", [r"\angle APC = 74^\circ", r"m\angle APC = 74"], [r"\angle APC = 47^\circ", r"\angle A + \angle B = 74", r"74\pi", r"7.4^\circ"]),
    ],
    "name": [
        (r"\angle ABC", [r"\angle CBA", "angle ABC", r"\boxed{\angle ABC}"], [r"\angle ACB", r"\angle BAC", "ABC", r"\triangle ABC", r"\angle ABD", r"\angle AB"]),
        (r"\overline{AB}", [r"\overline{BA}", r"\overline{A B}", "segment AB"], [r"\overline{AC}", r"\vec{AB}", r"\overline{AA}", "AB^2", "line AB"]),
        (r"\vec{AB}", [r"\overrightarrow{AB}", r"\vec{A B}"], [r"\vec{BA}", r"\overline{AB}", r"\vec{AC}", "ray AB"]),
        (r"\triangle ABC", [r"triangle ABC", r"\triangle{ABC}"], [r"\triangle ABD", r"\triangle ACB", r"\angle ABC", "ABC", r"\triangle DEF"]),
        ("AB", ["AB", r"\text{AB}"], ["BA", "AC", "A", "A+B", "ABC"]),
    ],
    "base": [
        ("204_5", ["204_{5}", r"204_{\text{five}}", "204 base 5", r"\boxed{204_5}", "(204)_5"], ["204", "204_6", "402_5", "54", "204_{10}", "205_5", "24_5", "2045", "-204_5"]),
        ("1011_2", ["1011_{2}", "1011_{\\text{two}}", "1011 in base 2"], ["1101_2", "11", "1011", "1011_3", "1012_2", "10112"]),
        ("1A_{16}", ["1A_{16}", "1A base 16"], ["A1_{16}", "26", "1A", "1B_{16}", "1A_{15}"]),
    ],
    "logic": [
        (r"p \land q", [r"q \land p", r"p \wedge q", r"\lnot(\lnot p \lor \lnot q)", r"(p \land q)"], [r"p \lor q", r"p \to q", r"\lnot p \land q", "p", r"p \land r", r"\lnot(p \land q)", r"p \oplus q"]),
        (r"p \to q", [r"\lnot p \lor q", r"p \implies q", r"p \Rightarrow q", r"\lnot q \to \lnot p"], [r"q \to p", r"p \land q", r"p \iff q", r"\lnot p \to q", r"p \to r"]),
        (r"\lnot(p \lor q)", [r"\lnot p \land \lnot q", r"\neg p \wedge \neg q"], [r"\lnot p \lor \lnot q", r"\lnot p \lor q", r"p \lor q", r"\lnot p", r"\lnot(p \land q)"]),
        ("True", ["true", r"\text{True}"], ["False", "1", "not true", "T F"]),
    ],
    "choice": [
        ("A", [r"\text{(A)}", "(A)", "A.", "A)", "The answer is A.", r"\boxed{\textbf{(A)}}"], ["a", "B", "(B)", "AB", "A or B", "A, B", "1", "The answer is (B)", "C) A", "Apple"]),
        ("C", ["(C) 12 km", r"\boxed{P < Q}. The answer is (C).", "C: 12", "Answer: C"], ["(D) 12 km", "c", "12 km", r"\boxed{P<Q}. The answer is (D).", "CD", "The answer is (B), not (C)", "Circle", "(A)", "(B) C", "C and D"]),
    ],
    "words": [
        ("Even", ["even", r"\text{even}", "EVEN", r"\boxed{\text{Even}}"], ["odd", "not even", "even or odd", "2", "evens", "uneven"]),
        ("red", ["Red", "red."], ["der", "red or blue", "blue", "reddish", "not red", "r e d"]),
        ("no solution", ["No solution", r"\text{no solution}", "no  solution"], ["0", "solution", "one solution", "no", r"\infty"]),
        ("no", ["No", "no."], ["on", "yes", "not", "none"]),
    ],
    "prose": [
        ("37", ["It adds up to 37.", "The sum is equal to 37.", "This amounts to 37", "The answer is therefore 37.", "Answer: 37 (since 30 + 7 = 37)", "= 37", "La réponse est (30 + 7 = 37)", r"So \boxed{37}. Put it in \boxed{}.", "Thus there are 37 students in the class.", "She needs 37 more apples."], ["at least 37", "more than 37", "The answer is not 37.", "It is 37 or 38", "half as much as 37", "Is it 37?", r"\boxed{37} is wrong.", "She has 37 more than Bob", "She pays 8 dollars for 37 pens", "between 30 and 37", "36 + 2 = 37", "2+2=37", "If it were 37", "It is minus 37.", "twice 37", r"\boxed{37", "The answer is 36. It is not 37", "37 squared", "It is 37 lakh", "step 37"]),
        ("2,3", ["The solutions are 2 and 3.", "x=2 or x=3", "The solutions are $x=2$ and $x=3$."], ["The solutions are 2 and 4.", "It lies between 2 and 3.", "from 2 to 3"]),
    ],
    "number": [
        ("-5", ["The answer is negative 5.", "minus 5", "negative five", "-5.0", r"\boxed{-5}", "−5"], ["5", "5 below zero", "negative 50", "-0.5", "minus negative 5", "--5", "-5!"]),
        ("5", ["five", "5.", "x = 5", r"\frac{10}{2}", "5.00"], [r"\boxed{\text{minus }5}", "negative 5", "half of 5", r"5\text{ factorial}", r"5\text{ squared}", "5 point five", "5x", "5m", "25", "-5", "5 or 6"]),
        ("2500", ["2 thousand five hundred", "two thousand five hundred", "2,500", "2.5 thousand", "2 500"], ["200000", "25,00", "2 thousand", "two five hundred", "2.500", "25 00"]),
        ("12", ["twelve", "a dozen", "12.0", "1 dozen"], [r"1\quad 2", "1 2", "1,2", "1.2", "twelve hundred", "21"]),
        ("3/4", ["three quarters", "3 quarters", "0.75", "three-fourths", r"\frac{3}{4}"], ["3", "4/3", "34", "3/40", "three", "quarter"]),
        ("1,000,000", ["10^6", "1000000", "1 million", "one million", r"10^{6}"], ["10^5", "100,000", "1,000", "10^{-6}", "1 billion", "1,000,00"]),
    ],
    "expression": [
        ("x^2", [r"x\cdot x", "x*x", r"\frac{x^3}{x}", "x^{2}"], [r"x^2+\sin(82\pi x)", "x^3", "2x", "X^2", "y^2", "x^2+1", "x^2 2", "x2", r"x^2+10^{-60}"]),
        (r"\pi", [r"\frac{2\pi}{2}", r"4\arctan 1"], [r"\pi+10^{-60}", r"\pi+10^{-600}", "3.14", "22/7", r"\pi^2", r"2\pi", "p"]),
        (r"\sqrt{x^2}", ["|x|", r"\left|x\right|"], ["x", "-x", "x^2", r"\sqrt{x}^2"]),
        (r"2\ln x", [r"\ln x+\ln x", r"2\ln(x)"], [r"\ln x^2", r"\ln 2x", r"2\log x", r"\ln(x)^2"]),
        ("1/2004!", [r"\frac{1}{2004!}"], ["1/2006!", "0", "2004!", "1/2004"]),
        ("2e", [r"2\mathrm{e}", r"2e^1"], ["2", "e^2", "5.43", "20e"]),
    ],
    "equation": [
        ("y = 2x+3", ["2x+3", "f(x) = 2x+3", "2x-y+3=0", "y-3=2x", "y=3+2x"], ["y = 3x+2", "x = 2y+3", "y=2x-3", "y^2 = 2x+3", "z=2x+3", "y<2x+3"]),
        ("x=1,y=2", ["y=2, x=1", "(1,2)", "x = 1 and y = 2", "(x,y)=(1,2)", "1, 2"], ["2,1", "x=2,y=1", "x=1", "a=1,b=2", "(2,1)", "x=1,y=3"]),
        ("p=5,q=2;p=7,q=2", ["(5,2),(7,2)", "p=7,q=2;p=5,q=2", "(p,q)=(5,2) or (7,2)"], ["(2,5),(2,7)", "(5,2)", "p=5,q=7", "(5,2),(7,3)"]),
        ("x=5", ["5", "x = 5", "5 = x"], ["y=5", "x=-5", "x>5", "x=5 or x=6"]),
        ("x>5", ["5<x", "-x<-5", r"(5,\infty)", "2x>10"], ["x<5", r"x\ge 5", "5", "y>5", "x>-5", "x=5"]),
    ],
    "infinity": [
        (r"\infty", [r"+\infty", "infinity", "∞", r"\boxed{\infty}", r"x = \infty"], [r"-\infty", "1/0", r"\frac{\infty}{\infty}", "10^{1000}", "0", "undefined", "8", r"\infty-\infty", r"2\infty", r"\ln 0"]),
        (r"-\infty", [r"-\infty", "-infinity", "−∞", r"\boxed{-\infty}", "minus infinity"], [r"\infty", "-1/0", "0", r"\frac{-1}{0}", "-10^{99}", r"\log 0", "-1", "-8", r"-\frac{\infty}{\infty}", r"(-\infty,0)", "-x"]),
    ],
}  # fmt: skip
