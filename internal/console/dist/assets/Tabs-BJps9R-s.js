import{d as e,o as t,ot as n}from"./text-BPsXEvfI.js";import{A as r}from"./index-0RaoG5at.js";var i=[`failing`,`blind`,`noisy`,`neverFired`,`ok`],a=[`ACTIVE`,`INACTIVE`,`DRAFT`],o=[`critical`,`high`,`medium`,`low`,`info`],s={failing:`bad`,blind:`warn`,noisy:`warn`,neverFired:`todo`,ok:`good`};async function c(t,n,r){let i=await fetch(t,{method:`POST`,credentials:`same-origin`,headers:{"Content-Type":`application/yaml`},body:n,signal:r??null}),a=await i.json().catch(()=>void 0);if(!i.ok)throw e(i,a,``);return a}var l=`title: Sign-in as root over SSH
status: experimental
description: What it finds, and why that is odd.
author: ''
level: medium
tags:
  - attack.initial-access
  - attack.t1078
logsource:
  product: linux
  service: sshd
detection:
  selection:
    user: root
    message|contains: Accepted
  condition: selection
falsepositives:
  - Maintenance by the operators
`;function u(e){return e.replace(/^id:.*\n/gm,``)}var d={tabs:`_tabs_ndnuz_1`,name:`_name_ndnuz_29`,cardFacts:`_cardFacts_ndnuz_44`,open:`_open_ndnuz_49`,why:`_why_ndnuz_52`,top:`_top_ndnuz_58`,space:`_space_ndnuz_66`,page:`_page_ndnuz_69`,lead:`_lead_ndnuz_81`,editor:`_editor_ndnuz_85`,code:`_code_ndnuz_90`,gutter:`_gutter_ndnuz_102`,sheet:`_sheet_ndnuz_121`,painted:`_painted_ndnuz_126`,line:`_line_ndnuz_134`,text:`_text_ndnuz_158`,says:`_says_ndnuz_175`,keep:`_keep_ndnuz_183`,matrix:`_matrix_ndnuz_193`,tactic:`_tactic_ndnuz_201`,technique:`_technique_ndnuz_228`,legend:`_legend_ndnuz_254`,numbers:`_numbers_ndnuz_292`},f=n();function p({now:e}){let n=t(`rules`);return(0,f.jsxs)(`nav`,{className:d.tabs,"aria-label":n(`title`),children:[(0,f.jsx)(r,{to:`/rules`,"aria-current":e===`list`?`page`:void 0,activeOptions:{exact:!0},children:n(`list`)}),(0,f.jsx)(r,{to:`/rules/coverage`,"aria-current":e===`coverage`?`page`:void 0,children:n(`coverage`)})]})}export{i as a,a as c,s as i,u as l,d as n,c as o,l as r,o as s,p as t};